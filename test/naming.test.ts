import assert from "node:assert/strict";
import { test } from "node:test";
import { countViolations } from "./architecture/count-rules.js";
import { namingViolations } from "./architecture/naming-rules.js";
import { sourceFiles } from "./architecture/repository.js";
import { parseSource } from "./architecture/source-file.js";

test("files and exported names follow the naming rules", () => {
  // Tools prescribe the names of their configuration, at the top.
  const ours = sourceFiles().filter(({ path }) => path.includes("/"));
  assert.deepEqual(namingViolations(ours), []);
});

test("the naming rule finds forbidden words, other cases, index files and long files", () => {
  const good = parseSource(
    "operators/topk/dataset-state.ts",
    "export const dataset = 1; const data = 2; export interface Database { data: number } export type Informed = 1;",
  );
  assert.deepEqual(namingViolations([good]), []);
  const found = (path: string, text = ""): string[] => namingViolations([parseSource(path, text)]);
  assert.match(found("cli/index.ts")[0]!, /no index files/);
  assert.match(found("cli/loadConfig.ts")[0]!, /not in kebab-case/);
  assert.match(found("cli/load_config.test.ts")[0]!, /not in kebab-case/);
  assert.match(found("cli/Utils/x.ts")[0]!, /not in kebab-case/);
  assert.match(found("cli/event-handler.ts")[0]!, /"handler" names nothing/);
  assert.match(found("cli/helpers/x.ts")[0]!, /"helpers" names nothing/);
  assert.match(found("cli/x.ts", "\nexport const modelInfoSchema = 1;")[0]!, /^cli\/x\.ts:2: exports modelInfoSchema/);
  assert.match(found("cli/x.ts", "const TopKManager = 1; export { TopKManager };")[0]!, /exports TopKManager/);
  assert.match(found("cli/x.ts", "export class HTTPHandler {}")[0]!, /exports HTTPHandler/);
  assert.match(found("cli/x.ts", "export type RawData = 1;")[0]!, /exports RawData/);
  assert.deepEqual(found("cli/x.ts", "\n".repeat(400)), []);
  assert.match(found("cli/x.ts", "\n".repeat(401))[0]!, /has 401 lines/);
  assert.deepEqual(found("test/cli/x.test.ts", "\n".repeat(401)), []);
});

test("a number and its noun are written so that one is one", () => {
  assert.deepEqual(countViolations(sourceFiles()), []);
  const found = (text: string): string[] => countViolations([parseSource("cli/x.ts", `const said = ${text};`)]);
  assert.match(found("`found ${count} images`")[0]!, /^cli\/x\.ts:1: says "count images" of 1 as well/);
  assert.equal(found("`${countText(a.b)} archived rows, ${c} labels`").length, 2);
  for (const good of [
    "`found ${counted(count, 'image')}, images`",
    "`${count === 1 ? 'one image' : `${count} images`}`",
    "`${MOST_IMAGES} images, ${rates.join()} images, ${place} has versions, ${count} classes`",
  ]) {
    assert.deepEqual(found(good), [], good);
  }
});
