// The moving chart of a pool: what its slots did in each second of the last minutes, and its queue.
//
// It draws integrals, not samples: between two states the height of an area is the slot-time that
// went there over the time between. A gap of a millisecond is in it, as large as it was.

const MINUTES = 5;
const LENGTH = MINUTES * 60;

class Chart {
  constructor(root) {
    this.slots = root.querySelector(".slots");
    this.queue = root.querySelector(".queue");
    this.points = [];
    // A pattern is found by its name, of which there is to be one in the page.
    const pattern = this.slots.querySelector("pattern");
    pattern.id = `gap-${Chart.made = (Chart.made || 0) + 1}`;
    this.slots.querySelector("path.gap").setAttribute("fill", `url(#${pattern.id})`);
    new ResizeObserver(() => this.draw()).observe(this.slots);
  }

  // What was before the page came.
  begin(history) {
    this.points = [];
    history.forEach((past) => this.point(past));
  }

  add(status) {
    this.point(status);
    this.now = status;
    this.draw();
  }

  point(status) {
    const last = this.points.at(-1);
    // The pool is another one of the same name.
    if (last && status.window_time < last.at) this.points = [];
    this.points.push({
      at: status.window_time,
      cap: status.cap_slot_time,
      busy: status.busy_slot_time,
      gap: status.gap_slot_time,
      queue: status.queue_depth,
    });
    // One that is out of sight stays, since the first in sight is drawn from it.
    while (this.points.length > 2 && this.points[1].at < status.window_time - LENGTH) this.points.shift();
  }

  // The means between each two states, from the oldest.
  steps() {
    const steps = [];
    for (let index = 1; index < this.points.length; index += 1) {
      const [before, after] = [this.points[index - 1], this.points[index]];
      const elapsed = after.at - before.at;
      if (elapsed <= 0) continue;
      const mean = (name) => (after[name] - before[name]) / elapsed;
      steps.push({ from: before.at, to: after.at, cap: mean("cap"), busy: mean("busy"), gap: mean("gap"), queue: after.queue });
    }
    return steps;
  }

  draw() {
    if (!this.now) return;
    const steps = this.steps();
    const most = Math.max(this.now.cap, ...steps.map((step) => Math.max(step.cap, step.busy)));
    const slots = new Plot(this.slots, this.now.window_time, most * 1.06);
    slots.area(".area.in-flight", steps, (step) => step.busy);
    slots.between("path.gap", steps, (step) => step.busy, (step) => step.busy + step.gap);
    slots.edge(".edge.in-flight", steps, (step) => step.busy);
    slots.edge(".edge.cap", steps, (step) => step.cap);
    slots.label(this.now.cap);
    const { cap, in_flight: held, queue_depth: waiting, last_minute: minute } = this.now;
    this.slots.ariaLabel =
      `Slots over the last ${MINUTES} minutes. Now ${count(held)} of ${count(cap)} in flight; `
      + `gap in the last ${span(minute.window_time)}: ${percent(minute.gap_fraction)} of the time.`;

    const deepest = Math.max(1, ...steps.map((step) => step.queue));
    const queue = new Plot(this.queue, this.now.window_time, deepest * 1.06);
    queue.area(".area.queued", steps, (step) => step.queue);
    queue.edge(".edge.queued", steps, (step) => step.queue);
    queue.label(deepest);
    this.queue.ariaLabel = `Queue over the last ${MINUTES} minutes. Now ${count(waiting)}; the most was ${count(deepest)}.`;
  }
}

// One drawing area, whose right edge is now.
class Plot {
  constructor(root, now, most) {
    this.root = root;
    this.svg = root.querySelector("svg");
    const { width, height } = this.svg.getBoundingClientRect();
    Object.assign(this, { now, most, width, height });
    const minutes = Array.from({ length: MINUTES }, (_, minute) => `M${this.x(now - minute * 60)} 0V${height}`);
    this.put(".grid", `${minutes.join("")}M${width} ${height}H0V0`);
  }

  x(at) {
    return (Math.max(0, 1 - (this.now - at) / LENGTH) * this.width).toFixed(1);
  }

  y(value) {
    return ((1 - value / this.most) * this.height).toFixed(1);
  }

  put(name, path) {
    this.svg.querySelector(name).setAttribute("d", path);
  }

  outline(steps, of) {
    return steps.map((step) => `L${this.x(step.from)} ${this.y(of(step))}H${this.x(step.to)}`).join("");
  }

  area(name, steps, of) {
    if (steps.length === 0) return this.put(name, "");
    const [first, last] = [this.x(steps[0].from), this.x(steps.at(-1).to)];
    return this.put(name, `M${first} ${this.height}${this.outline(steps, of)}L${last} ${this.height}Z`);
  }

  edge(name, steps, of) {
    return this.put(name, this.outline(steps, of).replace("L", "M"));
  }

  between(name, steps, low, high) {
    const box = (step) =>
      `M${this.x(step.from)} ${this.y(low(step))}V${this.y(high(step))}H${this.x(step.to)}V${this.y(low(step))}Z`;
    this.put(name, steps.filter((step) => high(step) > low(step)).map(box).join(""));
  }

  label(value) {
    const label = this.root.querySelector(".most");
    say(label, count(value));
    label.style.top = `${this.y(value)}px`;
  }
}
