// `node ingest.js <teacher> <folder of images> [engine settings as JSON] [metrics|console]`: one ingest into a new data folder; prints its measures as
// JSON, and on standard error where the metrics, or the data folder, are to be found. With one of the last words it begins once its input ends.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { openSharpDecoder } from "../../connectors/decoder/libvips/libvips-decoder.js";
import { openEngine } from "../../connectors/engine/open.js";
import { loadTeacher } from "../../connectors/engine/teacher/teacher-files.js";
import { openFolderSource } from "../../connectors/source/folder.js";
import { openUri } from "../../connectors/source/open-uri.js";
import { ingest } from "../../pipelines/ingest.js";
import { DecodePool } from "../../pipelines/flow/decode-pool.js";
import { openObserving } from "../../pipelines/observe/observing.js";
import { openWorkspace } from "../../pipelines/open/workspace.js";
import { configSchema } from "../../schemas/config.js";

const [teacherPath, images, engineSettings = "{}", looked] = process.argv.slice(2) as [
  string,
  string,
  string?,
  ("metrics" | "console")?,
];
const data = await mkdtemp(join(tmpdir(), "sluice-bench-"));
const settings: unknown = JSON.parse(engineSettings);
const config = configSchema.parse({
  data,
  engine: settings,
  datasets: [{ name: "bench", select: { k: 100, p: 10 } }],
  ...(looked === "metrics" ? { metrics: { port: 0 } } : {}),
});
const observing = await openObserving({
  config,
  command: "ingest",
  loops: ["score"],
  onEvent: null,
  environment: process.env,
  warn: console.error,
  nowMs: Date.now,
});
if (observing.url !== null) console.error(`metrics at ${observing.url}`);
if (looked === "console") console.error(`data at ${data}`);
const workspace = await openWorkspace(config, "bench", observing);
const teacher = await loadTeacher(teacherPath);
const engine = await openEngine(teacher, config.engine);
const decoder = openSharpDecoder();
const decoding = new DecodePool({ decoder, card: teacher.card, config: config.decode });
// What looks on has begun before what is measured does.
if (looked !== undefined) await finished(process.stdin.resume());
const cpuBefore = process.cpuUsage();
const started = performance.now();
const { counts } = await ingest({
  workspace,
  teacher,
  engine,
  decoder,
  decoding,
  opener: openUri(),
  sheets: null,
  source: await openFolderSource(images),
  publish: false,
  observer: observing.observer,
  onProgress: observing.onProgress,
  stop: new AbortController().signal,
});
const seconds = (performance.now() - started) / 1000;
const spent = process.cpuUsage(cpuBefore);
await Promise.all([engine.close(), decoding.close()]);
await workspace.close();
await observing.close();
await rm(data, { recursive: true });
const cpu = process.cpuUsage();
console.log(
  JSON.stringify({
    seconds,
    imagesPerSecond: counts.scored / seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    // Without loading and probing the model
    runCpuSeconds: (spent.user + spent.system) / 1e6,
  }),
);
