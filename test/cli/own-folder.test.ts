import assert from "node:assert/strict";
import { test } from "node:test";
import { inOwnFolder } from "../../cli/own-folder.js";
import { openWorkspace } from "../../pipelines/open/workspace.js";
import { configSchema } from "../../schemas/config.js";
import { isSluiceError } from "../../schemas/errors.js";
import { temporaryFolder } from "../fixtures/temporary-folder.js";

test("a data folder that is in use is said with the command that holds it, and with the flag by which another one works beside it", async (t) => {
  const config = configSchema.parse({ data: await temporaryFolder(t) });
  const holder = await openWorkspace(config, "sluice run score");
  t.after(() => holder.close());
  for (const process of ["scorer", "replay", "gateway"] as const) {
    await assert.rejects(inOwnFolder(openWorkspace(config, "another"), process), (error) => {
      assert.ok(isSluiceError(error, "E_LOCKED"));
      assert.match(error.message, /\(`sluice run score`, since 2.* of its own: --data /);
      return error.message.includes(`--data ${process}-2`);
    });
  }
});
