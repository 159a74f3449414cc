import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { encodeImageRecord, type LogRecord } from "../../schemas/image-record.js";
import { cached } from "../cache.js";
import { makeMobileNet } from "../../test/fixtures/mobile-net.js";
import { makePhotographs } from "../photographs.js";

/** Those of `bench pipeline` */
const SEED = 1;
const SIZE = { width: 500, height: 375 };

/** The path of a MobileNetV2 with random weights, 1000 classes. */
export async function mobileNet(): Promise<string> {
  const folder = await cached(`mobile-net-${SEED}`, async (made) => {
    await makeMobileNet(join(made, "mobile-net.onnx"), { seed: SEED });
  });
  return join(folder, "mobile-net.onnx");
}

/** A folder of so many JPEGs of 500 x 375, some 45 KiB each. */
export async function photographs(count: number): Promise<string> {
  return cached(`photographs-${SIZE.width}x${SIZE.height}-${count}`, (folder) =>
    makePhotographs(folder, { count, ...SIZE, seed: SEED }),
  );
}

/** The images of a folder, inside their messages. */
export async function photographRecords(folder: string): Promise<LogRecord[]> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith(".jpg")).sort();
  return Promise.all(
    names.map(async (name, number) =>
      encodeImageRecord({
        uri: pathToFileURL(join(folder, name)).href,
        bytes: await readFile(join(folder, name)),
        eventTimeMs: 1_760_000_000_000 + number,
        licence: null,
        origin: null,
        retryOf: null,
      }),
    ),
  );
}
