import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { openWorkspace } from "../../../pipelines/open/workspace.js";
import { configSchema } from "../../../schemas/config.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { temporaryFolder } from "../../fixtures/temporary-folder.js";

test("a data folder below what takes no folders: the message names that place", async (t) => {
  const taken = join(await temporaryFolder(t), "pictures");
  await writeFile(taken, "");
  const config = configSchema.parse({ data: join(taken, "deep", "data") });
  await assert.rejects(openWorkspace(config, "test"), (error) => {
    assert.ok(isSluiceError(error, "E_STORE_READONLY"));
    assert.ok(error.message.includes(`found that ${taken} takes none (ENOTDIR).`), error.message);
    return true;
  });
});
