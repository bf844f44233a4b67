// Numbers with their units, or a dash for what is not there: as the reports have them.
"use strict";

const DASH = "–";
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });

const figure = (write) => (value) => (value === null || value === undefined ? DASH : write(value));

const count = figure((value) => grouped.format(value));

const rate = figure((value) => {
  if (value >= 100) return grouped.format(value);
  return value >= 10 ? value.toFixed(1) : value.toFixed(2);
});

// What is little is not nothing.
const percent = figure((value) =>
  value > 0 && value < 0.00095 ? `${(value * 100).toFixed(3)} %` : `${(value * 100).toFixed(1)} %`);

const time = figure((value) => {
  if (value === 0) return "0 s";
  if (value < 0.0009995) return `${(value * 1e6).toFixed(0)} µs`;
  if (value < 0.09995) return `${(value * 1e3).toFixed(1)} ms`;
  if (value < 0.9995) return `${(value * 1e3).toFixed(0)} ms`;
  return value < 99.95 ? `${value.toFixed(2)} s` : `${grouped.format(value)} s`;
});

// How long something has lasted: to the tenth of a second, which is what changes before one's eyes.
const age = figure((value) => (value < 99.95 ? `${value.toFixed(1)} s` : `${grouped.format(value)} s`));

// The length of a window.
const span = figure((value) => (value >= 119.5 ? `${Math.round(value / 60)} min` : `${Math.round(value)} s`));

const plain = (name) => name.replaceAll("_", " ");

// Leaves what says so already alone.
const say = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};
