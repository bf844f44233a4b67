// What must hold of the live page. Each check has a proxy of its own, of three slots, and where its
// name speaks of a token, one that needs it.

import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";

import { contrasts } from "./contrast.mjs";
import { Proxy } from "./proxy.mjs";
import { near, number, shown } from "./reading.mjs";
import { open } from "./screen.mjs";

export const TOKEN = "s3same-token";
const shots = process.env.SHOTS;

const figure = (page, name) => page.locator(`[data-figure="${name}"]`).first().textContent();

export const checks = {
  async "its numbers are those of /status"(proxy) {
    for (let index = 0; index < 5; index += 1) await proxy.ask(`rosebud ${index}`);
    await proxy.ask("rosebud", { "x-sim-fault": "status=500" });
    await proxy.hold(8);
    const page = await open(proxy);
    const [status, { figures, rows, speed, state: { pools: [state] } }] = [await proxy.status(), await shown(page)];
    assert.deepEqual([status.cap, status.in_flight, status.queue_depth], [3, 3, 5]);
    for (const name of ["cap", "in_flight", "queue_depth"]) assert.equal(number(figures[name]), status[name], name);
    for (const name of ["requests", "completed", "output_tokens", "emitted_tokens"]) {
      assert.deepEqual(state[name], status[name], name);
    }
    assert.equal(figures.ended, "6");
    assert.equal(figures.outcomes, "5 completed, 1 failed");
    near(figures.success_rate, status.recent.ended.success_rate, "success_rate");
    assert.match(figures.under_way, /^3 in flight; 5 waiting/);
    const expected = [
      ...status.under_way.in_flight.map((one) => [one.arrival, one.phase, String(one.tokens)]),
      ...status.under_way.queued.map((one) => [one.arrival, "queued", "–"]),
    ];
    assert.deepEqual(rows.map(([arrival, phase, , tokens]) => [number(arrival), phase, tokens]), expected);
    const of = { ttft: status.recent.first_tokens.ttft, stream_tps: status.recent.ended.stream_tps };
    for (const [name, ...cells] of speed) {
      ["p50", "p90", "p99", "max"].forEach((key, index) => near(cells[index], of[name][key], `${name} ${key}`));
      assert.equal(number(figures[`${name}_of`]), of[name].count, name);
    }
    assert.equal(of.ttft.count, 8, "five that have ended, and three that stand still");
  },

  async "what moves is what it was told"(proxy) {
    await proxy.hold(8);
    const page = await open(proxy);
    const { figures, shares, widths, findings, rows, state: { pools: [state] } } = await shown(page);
    const { last_minute: minute, diagnosis } = state;
    for (const name of ["gap_fraction", "system_tps", "emitted_tps"]) near(figures[name], minute[name], name);
    near(figures.oldest_in_flight, state.oldest_in_flight, "oldest_in_flight");
    near(figures.oldest_queued, state.oldest_queued, "oldest_queued");
    near(figures.slot_time, minute.cap_slot_time, "slot_time");
    near(figures.gap_window, minute.window_time, "gap_window");
    const whole = Object.keys(shares).reduce((sum, key) => sum + minute[key], 0);
    assert.equal(widths.length, 9);
    Object.entries(shares).forEach(([key, text], index) => {
      near(text, minute[key] / whole, key);
      assert.ok(Math.abs(widths[index] - minute[key] / whole) < 1e-3, key);
    });
    assert.ok(Math.abs(widths.reduce((sum, width) => sum + width, 0) - 1) < 1e-2, "the strip is of all the slot-time");
    const worth = diagnosis.findings.filter((finding) => finding.share >= 0.001);
    assert.ok(worth.length > 0);
    assert.deepEqual(findings.map(([, advice]) => advice), worth.map((finding) => finding.advice));
    findings.forEach(([, , cost], index) => near(cost, worth[index].share, worth[index].loss));
    rows.slice(0, 3).forEach(([, , age], index) => near(age, state.under_way.in_flight[index].age, "age"));
  },

  async "the chart is of the slot-time, with the gap in it"(proxy) {
    await proxy.hold(2);
    const page = await open(proxy);
    const drawn = (name) => page.locator(`.slots path.${name}`).getAttribute("d");
    const before = await drawn("area.in-flight");
    await page.waitForFunction((states) => window.states > states, await page.evaluate(() => window.states));
    assert.notEqual(await drawn("area.in-flight"), before, "it moves");
    // Of three slots two are held, and nothing waits: no gap. The area's top is at two thirds of the cap.
    assert.equal(await drawn("gap"), "");
    const top = (path) => Number(path.match(/ ([\d.]+)H[\d.]+(?=L[^L]*Z?$|$)/)[1]);
    const height = await page.locator(".slots svg").evaluate((svg) => svg.getBoundingClientRect().height);
    const cap = height - top(await drawn("edge.cap"));
    const held = height - top(await drawn("edge.in-flight"));
    assert.ok(Math.abs(held / cap - 2 / 3) < 0.02, `${held} of ${cap}`);
    assert.match(await page.locator(".slots").getAttribute("aria-label"), /Now 2 of 3 in flight; gap in the last .*: 0\.0 %/);
    // A gap as a state tells of it: half of the free slot for a second.
    const gap = await page.evaluate(() => {
      const status = structuredClone(window.lastState.pools[0]);
      const chart = pools.get(status.pool).chart;
      status.window_time += 1;
      status.cap_slot_time += 3;
      status.busy_slot_time += 2;
      status.gap_slot_time += 0.5;
      chart.add(status);
      const box = document.querySelector(".slots path.gap").getBBox();
      return { height: box.height, right: box.x + box.width, width: chart.slots.querySelector("svg").getBoundingClientRect().width };
    });
    assert.ok(Math.abs(gap.height / cap - 0.5 / 3) < 0.02 && Math.abs(gap.right - gap.width) < 1, JSON.stringify(gap));
  },

  async "who comes late sees what was before"(proxy) {
    await proxy.hold(1);
    await proxy.until((status) => status.window_time > 4);
    const page = await open(proxy);
    const points = await page.evaluate(() => [...pools.values()][0].chart.points.map((point) => point.at));
    assert.ok(points[0] < 1.5 && points.length > 4, String(points));
    assert.deepEqual(points, points.toSorted((one, other) => one - other));
  },

  async "the cap is changed by the keyboard alone"(proxy) {
    const page = await open(proxy);
    const focused = () => page.evaluate(() => document.activeElement.name || document.activeElement.textContent.trim());
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "cap");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("17");
    const states = await page.evaluate(() => window.states);
    await page.waitForFunction((before) => window.states > before + 1, states);
    assert.equal(await page.locator("input[name=cap]").inputValue(), "17", "what is being written stays");
    await page.keyboard.press("Escape");
    assert.equal(await page.locator("input[name=cap]").inputValue(), "3");
    await page.keyboard.press("ControlOrMeta+a");
    await page.keyboard.type("17");
    await page.keyboard.press("Tab");
    assert.equal(await focused(), "Set");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
    assert.equal(outline, "solid", "where one is can be seen");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector('[data-figure="cap"]').textContent === "17");
    assert.equal((await proxy.status()).cap, 17);
    assert.equal(await page.locator("output").textContent(), "The cap is 17.");
    await page.keyboard.press("Tab");
    assert.equal(await page.evaluate(() => document.activeElement.getAttribute("role")), "region", "the list can be scrolled");
    // What the browser itself refuses is not sent.
    await page.locator("input[name=cap]").fill("0");
    await page.keyboard.press("Enter");
    assert.equal(await page.evaluate(() => document.activeElement.validity.rangeUnderflow), true);
    assert.equal(page.asked.filter((asked) => asked.startsWith("PUT")).length, 1);
  },

  async "with a token set, it asks for it and keeps it to itself"(proxy) {
    const page = await open(proxy);
    const output = page.locator("output");
    const set = async (cap) => {
      await page.locator("input[name=cap]").fill(String(cap));
      await page.locator("button").click();
    };
    await set(5);
    assert.match(await output.textContent(), /Give the token/);
    const field = page.getByLabel("Token");
    await field.fill("wrong");
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector("output").textContent === "This is not the token.");
    assert.equal((await proxy.status()).cap, 3);
    await field.fill(TOKEN);
    await page.keyboard.press("Enter");
    await page.waitForFunction(() => document.querySelector('[data-figure="cap"]').textContent === "5");
    assert.equal(await field.isVisible(), false);
    await set(6);
    await page.waitForFunction(() => document.querySelector('[data-figure="cap"]').textContent === "6");
    const kept = await page.evaluate(() => [document.documentElement.outerHTML, JSON.stringify({ ...localStorage, ...sessionStorage }), document.cookie, ...[...document.querySelectorAll("input")].map((input) => input.value)].join());
    assert.equal(kept.includes(TOKEN), false);
    // The browser itself tells its console of the 401.
    assert.equal(page.complaints.splice(0).every((text) => text.includes("401")), true);
    await page.reload();
    await page.waitForFunction(() => window.states >= 1);
    assert.equal(await field.isVisible(), true, "it went with the page");
  },

  async "it reads well, wide and narrow, in the light and in the dark"(proxy) {
    await proxy.ask("rosebud");
    await proxy.hold(40);
    for (const width of [1280, 400]) {
      for (const scheme of ["light", "dark"]) {
        const page = await open(proxy, { width, scheme });
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), width, "nothing beyond the edge");
        const cut = await page.evaluate(() => [...document.querySelectorAll("main *")]
          .filter((element) => !element.closest("svg, .scroll, .strip, .plot") && element.getBoundingClientRect().right > innerWidth)
          .map((element) => element.outerHTML));
        assert.deepEqual(cut, []);
        const { pale, seen } = await page.evaluate(contrasts);
        assert.ok(seen > 60, `${seen} texts`);
        assert.deepEqual(pale, [], `${scheme}, ${width}: what is too pale to be read`);
        const ground = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(ground === "rgb(246, 247, 249)", scheme === "light", ground);
        if (shots) {
          await mkdir(shots, { recursive: true });
          await page.screenshot({ path: join(shots, `page-${width}-${scheme}.png`), fullPage: true });
        }
        assert.deepEqual(page.complaints, []);
        await page.context().close();
      }
    }
  },

  async "it can be heard, and keeps still for who asks for it"(proxy) {
    await proxy.hold(4);
    const page = await open(proxy, { motion: "reduce" });
    const names = async (role) => Promise.all((await page.getByRole(role).all()).map((one) => one.getAttribute("aria-label")));
    for (const [role, name] of [["heading", "proxy"], ["heading", "Slots"], ["heading", "Under way"], ["spinbutton", "Cap"], ["button", "Set"], ["status", "live"], ["region", "Requests under way in proxy"], ["form", "Cap of proxy"], ["columnheader", "Phase"], ["rowheader", "TTFT"]]) {
      const found = role === "status" ? page.getByRole(role).filter({ hasText: name }) : page.getByRole(role, { name });
      assert.equal(await found.count() >= 1, true, `${role}: ${name}`);
    }
    const images = await names("img");
    assert.match(images[0], /^Slots over the last 5 minutes\. Now 3 of 3 in flight/);
    assert.match(images[1], /^Queue over the last 5 minutes\. Now 1;/);
    assert.equal(await page.locator(".strip i").first().evaluate((part) => getComputedStyle(part).transitionDuration), "0s");
    assert.equal(await page.locator("html").getAttribute("lang"), "en");
  },

  async "it comes back after a restart, and begins anew"(proxy) {
    await proxy.hold(2);
    const page = await open(proxy);
    const first = await page.evaluate(() => window.lastState.instance);
    const held = proxy.held;
    await proxy.stop();
    await page.waitForFunction(() => document.getElementById("said").textContent === "reconnecting");
    assert.equal(await page.locator("body").getAttribute("data-connection"), "lost");
    // The browser itself tells its console that nobody is there.
    assert.equal(page.complaints.splice(0).every((text) => /ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_EMPTY|ERR_CONNECTION_RESET/.test(text)), true);
    const { listen, admin } = proxy;
    const again = await Proxy.start({ cap: 4, listen, admin });
    try {
      assert.equal(held.length, 0);
      await page.waitForFunction((before) => window.lastState.instance !== before, first);
      await page.waitForFunction(() => document.getElementById("said").textContent === "live");
      assert.deepEqual([await figure(page, "cap"), await figure(page, "in_flight")], ["4", "0"]);
      assert.equal(await page.locator(".pool").count(), 1);
      const points = await page.evaluate(() => [...pools.values()][0].chart.points.map((point) => point.busy));
      assert.ok(points.every((busy) => busy === 0), "nothing of the run before is in the chart");
      page.complaints.splice(0);
    } finally {
      await again.stop();
    }
  },

  async "pools stand side by side, come, and go"(proxy) {
    const page = await open(proxy);
    const seen = await page.evaluate(() => {
      const state = structuredClone(window.lastState);
      const other = { ...structuredClone(state.pools[0]), pool: "an other <b>", cap: 99, in_flight: 1500, queue_depth: 7, backlog: 2, backoff: 1 };
      show({ ...state, pools: [...state.pools, other] });
      const both = [...document.querySelectorAll(".pool h2")].map((name) => name.textContent);
      const links = [...document.querySelectorAll("nav a")].map((link) => document.getElementById(decodeURIComponent(link.hash.slice(1)))?.querySelector("h2").textContent);
      const caps = [...document.querySelectorAll('[data-figure="cap"]')].map((cap) => cap.textContent);
      const underWay = pools.get("an other <b>").find('[data-figure="under_way"]').textContent;
      show(state);
      return { both, links, caps, underWay, left: document.querySelectorAll(".pool").length, nav: document.querySelector("nav").hidden };
    });
    const underWay = "1,500 in flight, the oldest 0 shown; 4 waiting at the gate, the oldest 0 shown; 1 in back-off; 2 declared";
    assert.deepEqual(seen, { both: ["proxy", "an other <b>"], links: ["proxy", "an other <b>"], caps: ["3", "99"], underWay, left: 1, nav: true });
  },

  async "nothing of a request is on it, and it asks nobody else"(proxy) {
    await proxy.ask("rosebud", { "x-request-id": "rosebud-id" });
    await proxy.hold(5);
    const page = await open(proxy);
    const all = await page.evaluate(() => document.documentElement.outerHTML + JSON.stringify(window.lastState));
    assert.match(all, /"queue_depth":2/);
    for (const secret of ["rosebud", "alice", "sesame", TOKEN]) assert.equal(all.includes(secret), false, secret);
    assert.deepEqual(page.asked.filter((asked) => !asked.includes("data:")), [`GET ${proxy.page}`, `GET ${proxy.page}events`]);
    // The page's own rules keep it so.
    const blocked = await page.evaluate(async () => {
      const violations = [];
      document.addEventListener("securitypolicyviolation", (event) => violations.push(event.effectiveDirective));
      await fetch("http://127.0.0.1:9/").catch(() => {});
      document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" }));
      await new Promise((go) => setTimeout(go, 0));
      return { violations, ran: window.ran === true };
    });
    assert.deepEqual(blocked, { violations: ["connect-src", "script-src-elem"], ran: false });
    page.complaints.splice(0);
  },

  async "a stopping proxy says so while streams drain"(proxy) {
    await proxy.hold(1);
    const page = await open(proxy);
    proxy.child.kill("SIGTERM");
    await page.waitForFunction(() => document.getElementById("said").textContent.startsWith("stopping"));
    await page.waitForFunction(() => document.getElementById("said").textContent === "reconnecting");
    page.complaints.splice(0);
  },
};
