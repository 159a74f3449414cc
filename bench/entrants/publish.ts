/** `node publish.js <image files> <classes> <rows> <bytes> <folder>`: a version of image files, written to a folder, as a process of its own. */
import { performance } from "node:perf_hooks";
import { pathToFileURL } from "node:url";
import { openUri } from "../../connectors/source/open-uri.js";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { imageBytes } from "../../operators/image/image-bytes.js";
import { publish } from "../../operators/version/publish.js";
import { filesWanted, imageFile } from "../publish-from/image-files.js";
import { madeCut } from "../publish-from/made-cut.js";

const [files = "", classText = "", rowText = "", byteText = "", folder = ""] = process.argv.slice(2);
const [classes, rows, sizeBytes] = [classText, rowText, byteText].map(Number) as [number, number, number];
const wanted = (await filesWanted(files)).filter(({ number }) => number < classes * rows);
const shape = { classes, rows, imageBytes: sizeBytes, records: wanted.length };
const cut = madeCut(shape, wanted, ({ number }) => pathToFileURL(imageFile(files, rows, number)).href);
const cpuBefore = process.cpuUsage();
const beginMs = performance.now();
const store = await openFilesystemStore(folder);
const { manifest } = await publish(cut, {
  store,
  read: imageBytes({ store, opener: openUri({}) }).read,
  sheets: null,
  automatic: false,
  onConflict: "refuse",
  now: () => new Date(0),
  codeVersion: "bench",
  attempt: "bench",
  commitId: "bench",
});
await store.close();
const seconds = (performance.now() - beginMs) / 1000;
if (manifest.totals.bytesAbsent > 0) throw new Error(`${manifest.totals.bytesAbsent} images are absent`);
const { user, system } = process.cpuUsage(cpuBefore);
console.log(JSON.stringify({ seconds, cpuSeconds: (user + system) / 1e6 }));
