/** `node rebuild.js <folder> <K>`: a cut of the whole archive, from frontier to id, as a process of its own. */
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { cut } from "../../operators/state/cut.js";
import { versionId } from "../../operators/version/publish.js";
import type { ChosenRows } from "../../schemas/chosen-rows.js";
import { datasetSchema } from "../../schemas/dataset.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { benchCard, STREAM } from "../rebuild/archive.js";

const [folder = "", k = ""] = process.argv.slice(2);
const cpuBefore = process.cpuUsage();
const begin = performance.now();
const store = await openFilesystemStore(join(folder, "store"));
const card = benchCard();
const frontier = await currentFrontier(store, { teacher: teacherDigest(card), stream: STREAM });
const followed = performance.now();
const made = await cut({
  store,
  dataset: datasetSchema.parse({ name: "bench", select: { k: Number(k), p: 10 } }),
  card,
  stream: STREAM,
  frontier,
  trigger: "bench",
  checkpoints: false,
});
const taken = performance.now();
let rows = 0;
let placeSum = 0;
const classes = async function* (): AsyncGenerator<ChosenRows> {
  for await (const chosen of made.classes) {
    rows += chosen.count;
    for (let row = 0; row < chosen.count; row++) placeSum += 2 * chosen.offset[row]! + chosen.partition[row]!;
    yield chosen;
  }
};
const id = await versionId({ ...made, classes: classes() });
const end = performance.now();
await store.close();
const cpu = process.cpuUsage(cpuBefore);
console.error(id);
console.log(
  JSON.stringify({
    seconds: (end - begin) / 1000,
    frontierSeconds: (followed - begin) / 1000,
    stateSeconds: (taken - followed) / 1000,
    rowsSeconds: (end - taken) / 1000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    images: made.records.in,
    rows,
    placeSum,
  }),
);
