// Runs the tests of the page against a Weir. Exit status 77, which ctest counts as skipped, without Chromium.
//   node run.mjs WEIR BUILD_DIR
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { kChromium } from "./browser.mjs";

const kSkipped = 77;
const here = dirname(fileURLToPath(import.meta.url));
const [weir, folder] = process.argv.slice(2);
if (!weir || !folder) {
  console.error("usage: node run.mjs WEIR BUILD_DIR");
  process.exit(2);
}
if (!kChromium) {
  console.log("skipped: Chromium is missing; scripts/setup test installs it");
  process.exit(kSkipped);
}
const files = ["words", "acts", "many", "looks"].map((name) => join(here, `${name}.test.mjs`));
const done = spawnSync(process.execPath, ["--test", "--test-concurrency=1", ...files], {
  stdio: "inherit",
  env: { ...process.env, WEIR: weir, WEIR_PICTURES: join(folder, "page") },
});
process.exit(done.status ?? 1);
