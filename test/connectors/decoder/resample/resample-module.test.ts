import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import createWabt from "wabt";
import { ROOT } from "../../../architecture/repository.js";

const FOLDER = join(ROOT, "connectors", "decoder", "resample");
const MODULE = join(FOLDER, "resample-module.ts");

/** The module as source code: so that it is where the compiled code is, wherever that is put. */
async function moduleText(): Promise<string> {
  const wabt = await createWabt();
  const parsed = wabt.parseWat("resample.wat", readFileSync(join(FOLDER, "resample.wat"), "utf8"), { simd: true });
  parsed.validate();
  const { buffer } = parsed.toBinary({});
  parsed.destroy();
  return (
    "/** What resample.wat compiles to, base64; written by its test. */\n" +
    `export const RESAMPLE_MODULE =\n  "${Buffer.from(buffer).toString("base64")}";\n`
  );
}

test("the module in use is what its source compiles to", async () => {
  const expected = await moduleText();
  if (process.env.UPDATE === "1") writeFileSync(MODULE, expected);
  assert.equal(readFileSync(MODULE, "utf8"), expected);
});
