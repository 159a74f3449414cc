import { parseArgs } from "node:util";
import { machine, type Bench } from "./harness.js";

/** Every benchmark: a line that says what it shows, and where it is. */
const BENCHES: Readonly<Record<string, { readonly shows: string; readonly load: () => Promise<{ bench: Bench }> }>> = {
  topk: {
    shows:
      "rebuild and whatif from an archive's own runs to a version's rows, against DuckDB, Polars, DataFusion and numpy on the same files",
    load: () => import("./topk.js"),
  },
  near: {
    shows: "exact look-ups/s of near duplicates among ten million PDQ hashes, memory, and equality with brute force",
    load: () => import("./near.js"),
  },
  billion: {
    shows: "a billion candidates through the operator, its snapshot and back, and over four shards merged",
    load: () => import("./billion.js"),
  },
  archive: {
    shows:
      "what reading an archive costs that has a hundred times as many segments, on disk and on MinIO, and repeats/s",
    load: () => import("./archive.js"),
  },
  rebuild: {
    shows: "a version of ten million archived images, from the archive alone, against merely reading the files",
    load: () => import("./rebuild.js"),
  },
  windows: {
    shows: "a year of daily versions that are due together, against the same archive as one version",
    load: () => import("./windows.js"),
  },
  scores: {
    shows: "writing and reading archived scores as Parquet, and rebuilding from compacted files against segments",
    load: () => import("./scores.js"),
  },
  pipeline: {
    shows: "images/s of ingest against a bare loop that only decodes and scores the same files",
    load: () => import("./pipeline.js"),
  },
  score: {
    shows: "images/s of the ONNX engine against Python's onnxruntime, same model, threads and batch",
    load: () => import("./score.js"),
  },
  decode: {
    shows: "JPEG to 224 x 224: images a CPU second against Pillow-SIMD, and the likeness of each to a reference",
    load: () => import("./decode.js"),
  },
  "end-to-end": {
    shows: "a folder of JPEGs to archived scores and exact top-K, against Python by hand, Ray Data and Daft",
    load: () => import("./end-to-end.js"),
  },
  tfjs: {
    shows: "images/s of the native TensorFlow.js against Python's TensorFlow, same SavedModel, threads and batch",
    load: () => import("./tfjs.js"),
  },
  gpu: {
    shows: "images/s of ingest over those of the engine alone with decoded pixels, on a GPU, and how busy it is",
    load: () => import("./gpu.js"),
  },
  kafka: {
    shows: "Sluice's processes on a real Kafka and MinIO: reading, bytes, latency, two scorers, a worker lost",
    load: () => import("./kafka.js"),
  },
  bytes: {
    shows: "MB/s of images that a scorer keeps, from Kafka to MinIO, against a client that only writes as many bytes",
    load: () => import("./bytes.js"),
  },
  "publish-from": {
    shows: "reading the images of a version from shards, files and a bucket against one sequential read of them",
    load: () => import("./publish-from.js"),
  },
  publish: {
    shows: "a version of image files, written with its index, against tar writing the same bytes on this disk",
    load: () => import("./publish.js"),
  },
  feed: {
    shows: "samples/s of python/sluice_loader against webdataset on the same shards",
    load: () => import("./feed.js"),
  },
  observe: {
    shows:
      "what it costs an ingest to be looked at: metrics scraped every second, 50 clients of a console, against without",
    load: () => import("./observe.js"),
  },
  memory: {
    shows: "peak anonymous memory of ingest over n and over 3n images",
    load: () => import("./memory.js"),
  },
  quickstart: {
    shows:
      "accuracy of the quickstart's student, pre-trained on its version, over the same student on the labels alone",
    load: () => import("./quickstart.js"),
  },
};

const HELP = `Usage: npm run bench -- <name> [--tiny] [--json]

  --tiny   a run of seconds that shows that everything works; its figures mean nothing
  --names  print the names, one a line
  --json   end with one JSON object {name, machine, ours, peers, ratios} on a line of its own

${Object.entries(BENCHES)
  .map(([name, { shows }]) => `  ${name.padEnd(12)} ${shows}`)
  .join("\n")}

Peers are installed into ~/.cache/sluice-bench, or $SLUICE_CACHE, when they are first needed.`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    tiny: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean" },
    names: { type: "boolean" },
  },
});
if (values.names === true) {
  console.log(Object.keys(BENCHES).join("\n"));
  process.exit(0);
}
const chosen = BENCHES[positionals[0] ?? ""];
if (values.help === true || chosen === undefined || positionals.length !== 1) {
  console.error(HELP);
  process.exit(values.help === true ? 0 : 2);
}
const { bench } = await chosen.load();
const report = await bench({
  tiny: values.tiny,
  print: (line) => {
    (values.json ? console.error : console.log)(line);
  },
});
for (const [name, ratio] of Object.entries(report.ratios)) console.error(`${name.padEnd(60)} ${ratio.toFixed(2)}`);
if (values.json) console.log(JSON.stringify({ machine: machine(), ...report }));
