// Looks at the live page, and says what does not hold.

import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { checks, TOKEN } from "./checks.mjs";
import { Proxy } from "./proxy.mjs";
import { browser } from "./screen.mjs";

const places = await mkdtemp(join(tmpdir(), "tps-page-"));
const token = join(places, "token");
await writeFile(token, `${TOKEN}\n`);
let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const args = name.includes("token") ? ["--admin-token-file", token] : [];
  const proxy = await Proxy.start({ cap: 3, args });
  try {
    await check(proxy);
    for (const context of browser.contexts()) {
      for (const page of context.pages()) assert.deepEqual(page.complaints, [], "its console is empty");
    }
    console.log(`ok      ${name}`);
  } catch (error) {
    failed += 1;
    console.log(`FAILED  ${name}\n${error.stack}`);
  }
  await Promise.all(browser.contexts().map((context) => context.close()));
  await proxy.stop();
}
await browser.close();
await rm(places, { recursive: true });
console.log(failed === 0 ? `the live page holds: ${Object.keys(checks).length} checks` : `${failed} of ${Object.keys(checks).length} checks failed`);
process.exit(failed === 0 ? 0 : 1);
