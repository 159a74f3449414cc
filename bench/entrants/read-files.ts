/** `node read-files.js <folder>`: reads every file below a folder, one after the other, and does nothing with it. */
import { closeSync, fstatSync, openSync, readdirSync, readSync } from "node:fs";
import { join } from "node:path";

const [folder = ""] = process.argv.slice(2);
const files = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".arrow"));
const cpuBefore = process.cpuUsage();
const begin = performance.now();
let buffer = new Uint8Array(0);
let totalBytes = 0;
for (const file of files.sort()) {
  const descriptor = openSync(join(folder, file), "r");
  const { size } = fstatSync(descriptor);
  if (buffer.length < size) buffer = new Uint8Array(size);
  totalBytes += readSync(descriptor, buffer, 0, size, 0);
  closeSync(descriptor);
}
const seconds = (performance.now() - begin) / 1000;
const cpu = process.cpuUsage(cpuBefore);
console.log(
  JSON.stringify({
    seconds,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
    readBytes: totalBytes,
    bytesPerSecond: totalBytes / seconds,
  }),
);
