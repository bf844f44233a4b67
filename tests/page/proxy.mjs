// A `tps proxy` before the simulated engine, and requests to it.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

export class Proxy {
  // Ports are given where a restart is to be found at the same place.
  static async start({ cap, args = [], listen = "127.0.0.1:0", admin = "127.0.0.1:0" }) {
    const proxy = new Proxy();
    const all = ["proxy", "--upstream", "sim", "--cap", cap, "--listen", listen, "--admin", admin, "--drain-timeout", "4s"];
    proxy.child = spawn(process.env.TPS_BIN, [...all.map(String), ...args], { stdio: ["ignore", "ignore", "pipe"] });
    proxy.said = [];
    proxy.held = [];
    for await (const line of createInterface(proxy.child.stderr)) {
      proxy.said.push(line);
      const found = line.match(/http:\/\/([^\s]+)/);
      if (!found) throw new Error(`it said: ${line}`);
      if (!proxy.listen) proxy.listen = found[1];
      else {
        proxy.admin = found[1];
        break;
      }
    }
    proxy.child.stderr.on("data", (text) => proxy.said.push(String(text)));
    proxy.child.stderr.resume();
    return proxy;
  }

  get page() {
    return `http://${this.admin}/`;
  }

  async status() {
    return (await fetch(`${this.page}status`)).json();
  }

  async ask(text, headers = {}, signal = undefined) {
    const body = JSON.stringify({ messages: [{ content: text }], user: "alice", stream: true, max_tokens: 12 });
    const options = { method: "POST", headers: { authorization: "Bearer sk-sesame", ...headers }, body, signal };
    return (await fetch(`http://${this.listen}/v1/chat/completions`, options)).text();
  }

  // Requests that go on until `letGo`: those that have slots have half of their tokens, and no more come.
  async hold(number) {
    const { requests } = await this.status();
    for (let index = 0; index < number; index += 1) {
      const control = new AbortController();
      this.held.push(control);
      this.ask("rosebud", { "x-sim-fault": "stall" }, control.signal).catch(() => {});
      await this.until((status) => status.requests === requests + index + 1);
    }
    await this.until(({ under_way: listed }) => listed.in_flight.every((one) => one.tokens === 6));
  }

  letGo() {
    this.held.splice(0).forEach((control) => control.abort());
    return this.until((status) => status.in_flight === 0 && status.queue_depth === 0);
  }

  async until(holds) {
    while (!holds(await this.status())) await new Promise((go) => setTimeout(go, 10));
  }

  async stop() {
    this.held.splice(0).forEach((control) => control.abort());
    if (this.child.exitCode !== null) return;
    this.child.kill("SIGTERM");
    await once(this.child, "exit");
  }
}
