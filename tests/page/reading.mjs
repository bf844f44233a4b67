// What the page shows, as text, and the numbers in it.

import assert from "node:assert/strict";

// Everything that is shown, and the state that it was made of, of one moment.
export const shown = (page) => page.evaluate(() => {
  const text = (element) => element.textContent;
  const all = (selector, of = text) => [...document.querySelectorAll(selector)].map(of);
  return {
    state: window.lastState,
    figures: Object.fromEntries(all("[data-figure]", (element) => [element.dataset.figure, text(element)])),
    shares: Object.fromEntries(all("[data-share]", (element) => [element.dataset.share, text(element)])),
    widths: all(".strip i", (element) => Number(element.style.flexGrow)),
    speed: all("[data-of]", (row) => [row.dataset.of, ...[...row.querySelectorAll("td")].map(text)]),
    rows: all(".under-way tbody tr", (row) => [...row.querySelectorAll("td")].map(text)),
    findings: all(".findings li", (item) => [text(item.querySelector("b")), text(item.querySelector("p")), text(item.querySelector(".cost"))]),
    title: document.title,
  };
});

// The number at the beginning of a text, in the unit of the state: seconds, shares, or whole; and
// what its last digit is worth.
const read = (text) => {
  if (text === "–") return [null, 0];
  const [, digits, decimals = "", unit] = text.match(/^([\d,]+(?:\.(\d+))?) ?([%a-zµ]*)/);
  const scale = { "%": 0.01, ms: 1e-3, "µs": 1e-6, min: 60 }[unit] ?? 1;
  return [Number(digits.replaceAll(",", "")) * scale, scale * 10 ** -decimals.length];
};
export const number = (text) => read(text)[0];

// As near as the digits that are shown can tell.
export const near = (text, value, what) => {
  const [shown, step] = read(text);
  if (value === null || shown === null) return assert.equal(shown, value, what);
  return assert.ok(Math.abs(shown - value) <= 0.51 * step, `${what}: ${text} is not ${value}`);
};
