// One pool: its figures, its chart, its ledger, its diagnosis, and who is under way.

const SHARES = [
  "busy_slot_time_dispatch", "busy_slot_time_backoff", "busy_slot_time_prefill", "busy_slot_time_generate",
  "busy_slot_time_stall", "busy_slot_time_drain", "busy_slot_time_unattributed", "gap_slot_time", "idle_slot_time",
];
// Of the slot-time; what is less is no loss worth a line. As the reports have it.
const WORTH_A_LINE = 0.001;

const made = (tag, properties = {}, ...children) => {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...children);
  return element;
};

// As many children as there are things, each made once and then told what it shows.
const list = (parent, things, make, show) => {
  while (parent.children.length > things.length) parent.lastElementChild.remove();
  while (parent.children.length < things.length) parent.append(make());
  things.forEach((thing, index) => show(parent.children[index], thing));
};

class Pool {
  constructor(name) {
    this.root = document.getElementById("pool").content.firstElementChild.cloneNode(true);
    this.root.dataset.pool = name;
    this.root.id = `pool-${name}`;
    this.root.ariaLabel = `Pool ${name}`;
    this.find("h2").textContent = name;
    this.find(".scroll").ariaLabel = `Requests under way in ${name}`;
    this.chart = new Chart(this.find(".chart"));
    this.cap = new CapForm(this.find("form"), name);
    for (const key of SHARES) {
      const word = key.replace(/^busy_slot_time_|_slot_time$/g, "");
      this.find(".strip").append(made("i", { className: word }));
      const words = word === "unattributed" ? "undecided" : word;
      const share = made("b");
      share.dataset.share = key;
      this.find(".shares").append(made("li", {}, made("i", { className: `swatch ${word}` }), words, share));
    }
  }

  find(name) {
    return this.root.querySelector(name);
  }

  figure(name, text) {
    say(this.find(`[data-figure="${name}"]`), text);
  }

  show(status, needsToken) {
    this.cap.show(status.cap, needsToken);
    if (status.history) this.chart.begin(status.history);
    this.chart.add(status);
    this.tiles(status);
    this.ledger(status.last_minute);
    this.findings(status.diagnosis);
    this.speed(status.recent);
    this.underWay(status);
  }

  tiles(status) {
    const { last_minute: minute, recent: { ended } } = status;
    this.figure("in_flight", count(status.in_flight));
    this.figure("cap", count(status.cap));
    this.figure("queue_depth", count(status.queue_depth));
    this.figure("oldest_in_flight", age(status.oldest_in_flight));
    this.figure("oldest_queued", age(status.oldest_queued));
    this.figure("gap_fraction", percent(minute.gap_fraction));
    this.figure("system_tps", rate(minute.system_tps));
    this.figure("emitted_tps", rate(minute.emitted_tps));
    for (const name of ["gap_window", "system_window", "emitted_window"]) this.figure(name, span(minute.window_time));
    this.figure("success_rate", percent(ended.success_rate));
    this.figure("ended", count(Object.values(ended.outcomes).reduce((sum, number) => sum + number, 0)));
    this.figure("ended_window", span(ended.window_time));
  }

  ledger(minute) {
    const whole = SHARES.reduce((sum, key) => sum + minute[key], 0);
    SHARES.forEach((key, index) => {
      const share = whole > 0 ? minute[key] / whole : null;
      this.find(".strip").children[index].style.flexGrow = share || 0;
      say(this.find(`[data-share="${key}"]`), percent(share));
    });
    this.figure("slot_time", rate(minute.cap_slot_time));
    this.figure("ledger_window", span(minute.window_time));
  }

  findings(diagnosis) {
    const worth = diagnosis.findings.filter((finding) => finding.share >= WORTH_A_LINE);
    const make = () => {
      const [words, cost] = [made("div", {}, made("b"), made("p")), made("div", { className: "cost" }, made("div"), made("span"))];
      return made("li", {}, words, cost);
    };
    list(this.find(".findings"), worth, make, (item, finding) => {
      say(item.querySelector("b"), plain(finding.loss));
      say(item.querySelector("p"), finding.advice);
      say(item.querySelector(".cost div"), `${percent(finding.share)}, ${finding.slot_time.toFixed(2)} s`);
      say(item.querySelector(".cost span"), finding.tokens === null ? "" : `${count(finding.tokens)} tokens`);
    });
    this.find(".nothing").hidden = worth.length > 0;
    this.figure("diagnosis_window", span(diagnosis.window_time));
  }

  speed({ first_tokens: first, ended }) {
    this.distribution("ttft", first.ttft, first.window_time, time);
    this.distribution("stream_tps", ended.stream_tps, ended.window_time, rate);
    const outcomes = Object.entries(ended.outcomes).sort((one, other) => other[1] - one[1]);
    const said = outcomes.map(([outcome, number]) => `${count(number)} ${outcome}`);
    if (ended.buffered > 0) said.push(`${count(ended.buffered)} buffered on the way, of no rate`);
    this.figure("outcomes", said.length > 0 ? said.join(", ") : "None has ended.");
  }

  distribution(name, of, window, write) {
    const cells = this.root.querySelectorAll(`[data-of="${name}"] td`);
    ["p50", "p90", "p99", "max"].forEach((key, index) => say(cells[index], of === null ? DASH : write(of[key])));
    this.figure(`${name}_of`, `${count(of === null ? 0 : of.count)} in ${span(window)}`);
  }

  underWay({ in_flight: inFlight, queue_depth: waits, backlog, backoff, under_way: listed }) {
    const waiting = waits - backlog - backoff;
    const held = listed.in_flight.map((one) => ({ ...one, word: one.phase }));
    const queued = listed.queued.map((one) => ({ ...one, word: "queued", tokens: null }));
    const some = (shown, all, words) => `${count(all)} ${words}${shown < all ? `, the oldest ${count(shown)} shown` : ""}`;
    const beyond = [[backoff, "in back-off"], [backlog, "declared"]].filter(([number]) => number > 0);
    const said = [some(held.length, inFlight, "in flight"), some(queued.length, waiting, "waiting at the gate")];
    this.figure("under_way", [...said, ...beyond.map(([number, words]) => `${count(number)} ${words}`)].join("; "));
    const make = () => {
      const cell = (className) => made("td", { className });
      const phase = made("td", {}, made("i", { className: "swatch" }), made("span"));
      return made("tr", {}, cell("number"), phase, cell("number"), cell("number"), cell("number"));
    };
    list(this.find(".under-way tbody"), [...held, ...queued], make, (row, one) => {
      row.className = one.word === "queued" ? "queued" : "";
      const [arrival, phase, since, tokens, silence] = row.children;
      say(arrival, count(one.arrival));
      phase.firstElementChild.className = `swatch ${one.word}`;
      say(phase.lastElementChild, one.word);
      say(since, age(one.age));
      say(tokens, count(one.tokens));
      say(silence, age(one.silence));
    });
  }
}
