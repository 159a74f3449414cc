import assert from "node:assert/strict";
import { join } from "node:path";
import { test } from "node:test";
import { missingPrograms, run } from "../../deploy/local/command.js";
import { ROOT } from "../architecture/repository.js";
import { promtool } from "./promtool.js";

test("promtool takes the alert rules, and they fire when they should and only then", async (t) => {
  if ((await missingPrograms(["go"])).length > 0) {
    process.stderr.write("\n*** NOT TESTED: promtool is built with go, not installed here ***\n\n");
    t.skip("promtool is built with go, not installed here");
    return;
  }
  const program = await promtool((line) => {
    t.diagnostic(line);
  });
  const folder = join(ROOT, "deploy", "prometheus");
  assert.match(await run(program, ["check", "rules", "alerts.yaml"], { folder, doing: "checking rules" }), /SUCCESS/);
  assert.match(
    await run(program, ["test", "rules", "alerts-tests.yaml"], { folder, doing: "testing rules" }),
    /SUCCESS/,
  );
});
