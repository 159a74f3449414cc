/** `node whatif.js <folder> <K>`: what a version would be, from the archive alone, as a process of its own. */
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { whatif } from "../../pipelines/whatif.js";
import { datasetSchema } from "../../schemas/dataset.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { benchCard, STREAM } from "../rebuild/archive.js";

const [folder = "", k = ""] = process.argv.slice(2);
const cpuBefore = process.cpuUsage();
const begin = performance.now();
const store = await openFilesystemStore(join(folder, "store"));
const card = benchCard();
const { answers } = await whatif({
  store,
  dataset: datasetSchema.parse({ name: "bench", select: { k: Number(k), p: 10 } }),
  card,
  stream: STREAM,
  frontier: await currentFrontier(store, { teacher: teacherDigest(card), stream: STREAM }),
  span: { startMs: null, endMs: null },
  settings: { k: [Number(k)], p: [10], temperature: [] },
  maxStateBytes: Number.POSITIVE_INFINITY,
});
const seconds = (performance.now() - begin) / 1000;
await store.close();
const cpu = process.cpuUsage(cpuBefore);
const [answer] = answers;
if (answer === undefined || "refused" in answer) throw new Error("expected an answer");
console.log(JSON.stringify({ seconds, cpuSeconds: (cpu.user + cpu.system) / 1e6, rows: answer.rows }));
