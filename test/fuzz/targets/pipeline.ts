import { mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { openEmbeddedLog } from "../../../connectors/log/embedded/embedded-log.js";
import { FOLDERS } from "../../../pipelines/open/workspace.js";
import { encodeImageRecord, type LogRecord } from "../../../schemas/image-record.js";
import { CommandFolder, ENGINE } from "../../fixtures/command-folder.js";
import { picture } from "../../fixtures/make-images.js";
import type { FuzzTarget } from "../fuzz-target.js";
import { below, mutateBytes, oneOf } from "../mutate.js";

interface GivenRecord {
  readonly value: string | null;
  readonly headers: Readonly<Record<string, string>>;
  readonly timestampMs: number;
}

const TIMES = [
  0,
  -1,
  1.5,
  1e300,
  -1e300,
  8.64e15,
  8.64e15 + 1,
  -8.64e15,
  2 ** 53,
  -(2 ** 63),
  1_700_000_000_000,
  1_700_000_000,
];
const HEADERS: Readonly<Record<string, readonly string[]>> = {
  "sluice-schema": ["1", "2", "", "\u0000"],
  "sluice-uri": [
    "",
    "file:///etc/passwd",
    "file:///dev/zero",
    "file:///nowhere",
    "tar:/x#y",
    "s3://b/k",
    "\ud800",
    "a".repeat(70_000),
  ],
  "sluice-event-time": ["0", "1", "-1", "1700000000", "9007199254740991", "1e3", "NaN"],
  "sluice-licence": ["", "x".repeat(70_000), "\u001b[2J", "\ud800"],
  "sluice-origin": ["\n", "<script>"],
  "sluice-retry-of": ["0", "5", "9007199254740991", "x"],
  __proto__: ["x"],
};

function givenRecord(next: () => number, pictures: readonly Uint8Array[]): GivenRecord {
  const image = oneOf(next, pictures);
  const bytes = next() < 0.5 ? mutateBytes(next, image, oneOf(next, pictures)) : image;
  const headers: Record<string, string> = {};
  for (const [name, values] of Object.entries(HEADERS)) {
    if (next() < 0.2) Object.defineProperty(headers, name, { value: oneOf(next, values), enumerable: true });
  }
  const value = next() < 0.1 ? null : Buffer.from(bytes).toString("base64");
  return { value, headers, timestampMs: next() < 0.3 ? oneOf(next, TIMES) : Date.UTC(2026, 0, 1) };
}

const asRecord = ({ value, headers, timestampMs }: GivenRecord): LogRecord => ({
  key: null,
  value: value === null ? null : Buffer.from(value, "base64"),
  headers,
  timestampMs,
});

export const PIPELINE: FuzzTarget = {
  name: "pipeline",
  what: "records of hostile producers, through a whole ingest to a version that verifies",
  extension: "json",
  prepare: async (folder) => {
    const site = await CommandFolder.make({
      images: 4,
      datasets: "[{ name: few, select: { k: 4, p: 1 }, window: { kind: tumbling, sizeMs: 86400000 } }]\nbytes: keep",
    });
    const place = join(folder, "site");
    await rename(site.path, place);
    const moved = CommandFolder.at(place);
    const pictures = await Promise.all([1, 2, 3, 4, 5, 6].map((seed) => picture(24, 16, seed).jpeg().toBuffer()));
    const good = pictures.map((bytes) =>
      encodeImageRecord({
        uri: "x",
        bytes,
        eventTimeMs: Date.UTC(2026, 0, 1),
        licence: null,
        origin: null,
        retryOf: null,
      }),
    );
    const data = join(place, "sluice-data");
    return {
      make: (next) => {
        const records = Array.from({ length: 1 + below(next, 12) }, () => givenRecord(next, pictures));
        return Buffer.from(JSON.stringify(records));
      },
      run: async (input) => {
        const records = (JSON.parse(Buffer.from(input).toString()) as GivenRecord[]).map(asRecord);
        await rm(data, { recursive: true, force: true });
        await mkdir(data);
        const log = await openEmbeddedLog(join(data, FOLDERS.log), { exclusive: true, command: "fuzz" });
        try {
          await log.ensureTopic("images", 1);
          await log.append("images", 0, [...records, ...good]);
        } finally {
          await log.close();
        }
        // Every record is somebody's: none may keep the others from a version, nor the archive from being read.
        for (const args of [
          ["ingest", "pictures", ...ENGINE],
          ["archive", "verify"],
          ["compact"],
          ["archive", "verify"],
          ["status"],
          ["quarantine", "list"],
        ]) {
          const { code, out, err } = await moved.sluice(...args);
          const said = `${out}${err}`;
          if (code !== 0) throw new TypeError(`sluice ${args.join(" ")} ended with ${code}: ${said.slice(0, 800)}`);
        }
      },
    };
  },
};
