/** `node score-file.js <format> <archive folder> <folder of parquet-wasm>`: writes and reads segments in one format. */
import { join } from "node:path";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { ChainReader } from "../../operators/archive/chain-reader.js";
import { teacherDigest } from "../../schemas/model-card.js";
import { decodeSegment, encodeSegment, type Segment } from "../../schemas/segment.js";
import { benchCard, STREAM } from "../rebuild/archive.js";
import { FORMATS, type CutColumns } from "../scores/formats.js";

const [name = "", folder = "", images = "", wasm = ""] = process.argv.slice(2);
const store = await openFilesystemStore(join(folder, "store"));
const segments: Segment[] = [];
for (const partition of [0, 1]) {
  const chain = { teacher: teacherDigest(benchCard()), stream: STREAM, partition, origin: 0 };
  for await (const segment of new ChainReader(store, chain).segments(0, Number(images) / 2)) {
    // A segment is valid until the next one is read: this one is kept.
    segments.push(decodeSegment(encodeSegment(segment), "kept"));
  }
}
await store.close();
const format = await FORMATS[name]!(wasm);
// Compaction goes on for hours: what is compiled on the way is not counted.
await format.read(await format.write(segments.slice(0, 2)), () => undefined);
/** Runs of each, so that the fast ones take more than a moment */
const LEAST_MS = 1000;

async function timed<Result>(work: () => Promise<Result>): Promise<{ result: Result; rowsPerSecond: number }> {
  const begin = performance.now();
  for (let runs = 1; ; runs++) {
    const result = await work();
    const spentMs = performance.now() - begin;
    if (spentMs >= LEAST_MS) return { result, rowsPerSecond: (1000 * runs * Number(images)) / spentMs };
  }
}

const written = await timed(() => format.write(segments));
const read = await timed(async () => {
  const all: CutColumns[] = [];
  await format.read(written.result, (columns) => all.push(columns));
  return all;
});
let checksum = 0;
for (const { offset, classes, keys } of read.result) {
  // Some of every row, so that all formats are known to give the same.
  for (let row = 0; row < offset.length; row++) {
    const at = (row * keys.length) / offset.length + (row % 32);
    checksum = (checksum + Number(offset[row]!) * 31 + classes[at]! - Math.round(keys[at]! * 1e6)) % 2 ** 40;
  }
}
console.log(
  JSON.stringify({
    writeRowsPerSecond: written.rowsPerSecond,
    readRowsPerSecond: read.rowsPerSecond,
    fileBytes: written.result.length,
    checksum,
  }),
);
