/**
 * `node windows.js <folder> days|global`: an archive's states, a checkpoint, and all versions that are due, as an ingest makes them at its end, as a process of its
 * own. What it writes is removed.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { currentFrontier } from "../../operators/archive/archive-reader.js";
import { CutScheduler } from "../../pipelines/flow/cut-scheduler.js";
import { LiveDatasets } from "../../pipelines/flow/live-datasets.js";
import { DuePublisher } from "../../pipelines/versions/due-publisher.js";
import { ALL_ALLOWED } from "../../schemas/allowance.js";
import { datasetSchema } from "../../schemas/dataset.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { benchCard, STREAM } from "../rebuild/archive.js";

const [folder = "", kind = ""] = process.argv.slice(2);
const window = kind === "days" ? { kind: "tumbling", sizeMs: 24 * 3600 * 1000 } : { kind: "global" };
const dataset = datasetSchema.parse({ name: `${kind}-${process.pid}`, window, select: { k: 1000, p: 1 } });
const root = join(folder, "store");
const cpuBefore = process.cpuUsage();
const begin = performance.now();
const store = await openFilesystemStore(root);
const card = benchCard();
const archive = { teacher: teacherDigest(card), stream: STREAM };
const nowMs = Date.now;
const facts = await LiveDatasets.open(
  { store, datasets: [dataset], ...archive, card, everySegments: 1_000_000, keep: 1, nowMs },
  await currentFrontier(store, archive),
);
const frontier = await facts.checkpoint();
const stated = performance.now();
const scheduler = await CutScheduler.open({ store, card, facts, frontier, nowMs: nowMs() });
let ids = 0;
const newId = (): string => `bench${ids++}`;
const options = { store, card, stream: STREAM, scheduler, opener: openUri(), sheets: null, allow: ALL_ALLOWED };
const { published } = await new DuePublisher({ ...options, nowMs, newId }).publish(scheduler.dueAtEnd(), frontier);
const seconds = (performance.now() - begin) / 1000;
await store.close();
const cpu = process.cpuUsage(cpuBefore);
for (const written of [join("versions", dataset.name), "checkpoints"])
  await rm(join(root, written), { recursive: true, force: true });
console.log(
  JSON.stringify({
    seconds,
    stateSeconds: (stated - begin) / 1000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    versions: published.length,
    rows: published.reduce((sum, { manifest }) => sum + manifest.totals.rows, 0),
  }),
);
