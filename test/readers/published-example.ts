import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp, { type Sharp } from "sharp";
import { openFilesystemStore } from "../../connectors/store/filesystem/filesystem-store.js";
import { sharpSheets } from "../../connectors/sheet/sharp.js";
import { publish } from "../../operators/version/publish.js";
import { sha256Hex } from "../../schemas/canonical.js";
import type { Manifest } from "../../schemas/manifest.js";
import { chosenRows, madeCut, type MadeImage, type MadeRow } from "../fixtures/cuts.js";
import { bmp } from "../fixtures/make-images.js";
import { publishOptions, readingOf } from "../fixtures/publishing.js";

/** Labels that formats, YAML and file names may stumble over; two are equal. */
const LABELS = ["yes", 'a: "b" #c', "ünï 猫 😀", "crane", "line\nbreak\\", "crane", "nobody"];
/** px of every picture */
const WIDTH = 24;
const HEIGHT = 20;
const ROWS_A_CLASS = 40;
/** Gaps, so that some of an image's classes repeat images of the class before */
const SHARED = 10;

export interface Example {
  /** Folder of the version's files */
  readonly folder: string;
  readonly manifest: Manifest;
}

/**
 * A version of 240 rows in several index files, laid out in a folder, and `expected.json` beside it: pictures of seven formats and
 * many colour types, images in two classes, absent bytes, a class without rows, nulls and whole numbers among the first rows only.
 */
export async function publishExample(root: string): Promise<Example> {
  const images = new Map<string, MadeImage>();
  const absent = new Set<string>();
  const expected: unknown[] = [];
  const classes = [];
  for (const [classIndex, label] of LABELS.entries()) {
    const rows: MadeRow[] = [];
    const size = label === "nobody" ? 0 : ROWS_A_CLASS;
    for (let index = 0; index < size; index++) {
      const image = await picture(classIndex * (ROWS_A_CLASS - SHARED) + index);
      images.set(image.sha256, image);
      if (index === 7) absent.add(image.sha256);
      rows.push({
        image,
        key: index < 6 ? 0 : -index / 3,
        licence: index < 6 ? null : 'CC-BY "4.0"',
        origin: index % 2 === 0 ? null : "https://example.org/ü",
        notes: index % 3 === 2 ? "wrong-extension,turned" : null,
        uri: `file:///wild/${classIndex}/ü ${index}.png`,
      });
    }
    rows.sort((a, b) => b.key - a.key || (a.image.sha256 < b.image.sha256 ? -1 : 1));
    classes.push(chosenRows(classIndex, rows));
    for (const [index, row] of rows.entries()) {
      expected.push({
        class: classIndex,
        label,
        rank: index + 1,
        sha256: row.image.sha256,
        key: row.key,
        probability: Math.exp(row.key),
        uri: row.uri,
        event_time_ms: 1_700_000_000_000 + index,
        size_bytes: row.image.bytes.length,
        licence: row.licence,
        origin: row.origin,
        notes: row.notes,
      });
    }
  }
  for (const row of expected as { sha256: string; bytes?: string }[])
    row.bytes = absent.has(row.sha256) ? "absent" : "shard";
  const store = await openFilesystemStore(root);
  const teacher = { digest: "ab".repeat(32), name: "teacher: ü", labels: LABELS, temperature: 1 };
  const { manifest } = await publish(madeCut(classes, { teacher, k: ROWS_A_CLASS, shards: { count: 8 } }), {
    ...publishOptions(images, { groupRows: 2 * ROWS_A_CLASS }),
    store,
    read: readingOf(async (digest) => (absent.has(digest) ? null : (images.get(digest)?.bytes ?? null))),
    sheets: sharpSheets,
  });
  await store.close();
  await writeFile(join(root, "expected.json"), JSON.stringify({ labels: LABELS, rows: expected }));
  return { folder: join(root, ...manifest.files[0]!.key.split("/").slice(0, 4)), manifest };
}

/** A picture of its own for each number: 24 x 20, two colours; format, colour type and depth turn with it. */
async function picture(number: number): Promise<MadeImage> {
  const colour = { r: (number * 53) % 256, g: (number * 101) % 256, b: (number * 197) % 256 };
  const spot = await sharp({ create: { width: 9, height: 8, channels: 3, background: "white" } })
    .png()
    .toBuffer();
  const made = await sharp({
    create: { width: WIDTH, height: HEIGHT, channels: 4, background: { ...colour, alpha: 1 } },
  })
    .composite([{ input: spot, left: number % 15, top: number % 12 }])
    .png()
    .toBuffer();
  const way = WAYS[number % WAYS.length]!;
  const bytes = new Uint8Array(await way(sharp(made)));
  const sha256 = sha256Hex(bytes);
  return { bytes, sha256, digest: new Uint8Array(Buffer.from(sha256, "hex")) };
}

const WAYS: readonly ((image: Sharp) => Promise<Buffer>)[] = [
  (image) => image.jpeg().toBuffer(),
  (image) => image.png().toBuffer(),
  (image) => image.webp().toBuffer(),
  (image) => image.gif().toBuffer(),
  (image) => image.tiff().toBuffer(),
  (image) => image.avif({ effort: 0 }).toBuffer(),
  async (image) => Buffer.from(bmp(await image.removeAlpha().raw().toBuffer(), WIDTH, HEIGHT, 24)),
  (image) => image.greyscale().jpeg().toBuffer(),
  (image) => image.greyscale().png().toBuffer(),
  (image) => image.png({ palette: true }).toBuffer(),
  (image) => image.webp({ lossless: true }).toBuffer(),
];
