import assert from "node:assert/strict";
import { test } from "node:test";
import { assignmentOverride } from "../../../cli/config/override.js";
import { loadConfig } from "../../../cli/load-config.js";
import { isSluiceError } from "../../../schemas/errors.js";

test("a K of the class __proto__ is refused with its place, not lost; every other name has its own", async () => {
  const load = (text: string) =>
    loadConfig({
      file: null,
      folder: "/nowhere",
      environment: {},
      flags: [assignmentOverride(`datasets.0.select.k={"default":5,"classes":${text}}`)],
    });
  const { config } = await load('{"constructor":1,"7":2,"no":3,"":4,"a/b":5}');
  const { k } = config.datasets[0]!.select;
  assert.deepEqual(k, { default: 5, classes: { constructor: 1, 7: 2, no: 3, "": 4, "a/b": 5 } });
  await assert.rejects(
    load('{"__proto__":2}'),
    (error) =>
      isSluiceError(error, "E_CONFIG") && /select\.k\.classes\.__proto__: .* by its number/.test(error.message),
  );
});
