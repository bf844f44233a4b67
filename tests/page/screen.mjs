// The browser, and the live page as one sees it there.

import { chromium } from "playwright-core";

export const browser = await chromium.launch({ executablePath: process.env.CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });

// A page that notes the state it showed last, what it complains of, and what it asks for.
export const open = async (proxy, { width = 1280, scheme = "light", motion = "no-preference" } = {}) => {
  const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme: scheme, reducedMotion: motion });
  const page = await context.newPage();
  page.complaints = [];
  page.asked = [];
  page.on("console", (message) => page.complaints.push(message.text()));
  page.on("pageerror", (error) => page.complaints.push(String(error)));
  page.on("request", (request) => page.asked.push(`${request.method()} ${request.url()}`));
  await page.addInitScript(() => {
    const Source = window.EventSource;
    window.EventSource = class extends Source {
      set onmessage(listener) {
        super.onmessage = (message) => {
          listener(message);
          window.lastState = JSON.parse(message.data);
          window.states = (window.states || 0) + 1;
        };
      }
    };
  });
  await page.goto(proxy.page);
  await page.waitForFunction(() => window.states >= 2);
  return page;
};
