// How well what is written stands out from what it is written on, by WCAG 2.2: run in the page.

export const contrasts = () => {
  const parts = (color) => color.match(/[\d.]+/g).map(Number);
  const luminance = ([red, green, blue]) => {
    const linear = (part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  };
  const ground = (element) => {
    for (let one = element; one; one = one.parentElement) {
      const color = parts(getComputedStyle(one).backgroundColor);
      if (color.length === 3 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const ratio = (one, other) => {
    const [light, dark] = [luminance(one), luminance(other)].sort((a, b) => b - a);
    return (light + 0.05) / (dark + 0.05);
  };
  const pale = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    const writes = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim() !== "");
    if (element.tagName !== "INPUT" && !writes) continue;
    if (element.closest("script, noscript, template") || !element.checkVisibility()) continue;
    seen += 1;
    const found = ratio(parts(getComputedStyle(element).color), ground(element));
    if (found < 4.5) pale.push(`${element.outerHTML.slice(0, 80)}: ${found.toFixed(2)}`);
  }
  return { pale, seen };
};
