import { z } from "zod";
import { imageLife } from "../../../pipelines/console/image/image-life.js";
import { thumbnailOf } from "../../../pipelines/console/image/thumbnails.js";
import { publishedDatasets, readManifest } from "../../../pipelines/versions/versions.js";
import { digestsFrom } from "../../../pipelines/versions/label-images.js";
import { isSluiceError } from "../../../schemas/errors.js";
import { imageLifeSchema } from "../../../schemas/api/images.js";
import { numberText, sha256Text } from "../../../schemas/api/shared.js";
import { answering, streaming } from "../operation.js";
import { Refusal } from "../refusal.js";

const imagePath = { sha256: sha256Text.describe("the SHA-256 of the image's bytes") };
/** px: sides that a picture may be asked for in; few, so that a browser's cache is of use */
/** How long a browser may show an image without asking for it again: five minutes */
const STANDS = "private, max-age=300";
const SIDES = [96, 192, 384, 1024] as const;

export const picture = streaming(
  {
    route: "/api/images/{sha256}/picture",
    summary: "the image made anew from its pixels, small: PNG or WebP",
    path: imagePath,
    query: {
      side: numberText(
        z.int().refine((side) => (SIDES as readonly number[]).includes(side), `expected one of ${SIDES.join(", ")}`),
      ).default(192),
    },
    types: ["image/webp", "image/png"],
  },
  async ({ console, path, query, response, signal }) => {
    const { sha256 } = path;
    const { bytes, reason } = await console.finder.bytesOf(sha256, signal);
    if (bytes === null)
      throw new Refusal(
        404,
        "E_IMAGE_VANISHED",
        `Expected the bytes of ${sha256}, found none: ${reason}. \`sluice relocate\` says where images lie now.`,
      );
    const made = await thumbnailOf(sha256, bytes, query.side);
    if (made === null)
      throw new Refusal(415, "E_IMAGE_FORMAT", `Expected a picture, found ${bytes.length} bytes that do not decode.`);
    response.writeHead(200, {
      "Content-Type": made.type,
      "Content-Length": made.bytes.length,
      // What is named by its digest never changes, but it may be erased.
      "Cache-Control": STANDS,
      "Content-Security-Policy": "sandbox; default-src 'none'",
    });
    response.end(made.bytes);
  },
);

export const original = streaming(
  {
    route: "/api/images/{sha256}/bytes",
    summary: "the image's own bytes, to be saved: never shown as a page",
    path: imagePath,
    types: ["application/octet-stream"],
  },
  async ({ console, path, response, signal }) => {
    const { bytes, reason } = await console.finder.bytesOf(path.sha256, signal);
    if (bytes === null)
      throw new Refusal(404, "E_IMAGE_VANISHED", `Expected the bytes of ${path.sha256}, found none: ${reason}.`);
    response.writeHead(200, {
      "Content-Type": "application/octet-stream",
      "Content-Disposition": `attachment; filename="${path.sha256}"`,
      "Content-Length": bytes.length,
      "Cache-Control": STANDS,
    });
    response.end(bytes);
  },
);

export const life = answering(
  {
    route: "/api/images/{sha256}",
    summary: "where an image was seen, how it was scored, which versions it is in and which it missed",
    path: imagePath,
    answer: imageLifeSchema,
  },
  async ({ console, path, signal }) => {
    const { config } = await console.settings();
    const { store, groups } = console;
    const found = await imageLife({ store, groups, stream: config.stream }, path.sha256, signal);
    const { bytes } = await console.finder.bytesOf(path.sha256, signal);
    if (found.sightings.length === 0 && found.quarantine.length === 0 && found.labels.length === 0 && bytes === null) {
      throw new Refusal(
        404,
        "E_IMAGE_VANISHED",
        `Expected an image that was archived here, found nothing of ${path.sha256}. It may not have been scored yet.`,
      );
    }
    return { ...found, bytes: bytes === null ? ("absent" as const) : ("there" as const) };
  },
);

const hitSchema = z.strictObject({
  kind: z.enum(["class", "version", "image"]),
  dataset: z.string().nullable(),
  /** Of a class: its number; of a version: its number */
  number: z.int().nonnegative().nullable(),
  sha256: sha256Text.nullable(),
  text: z.string(),
});

/** Hits of a search, at most */
const MOST_HITS = 30;

export const search = answering(
  {
    route: "/api/search",
    summary: "classes, versions and images that a text may mean",
    query: {
      q: z.string().max(200).default("").describe("part of a label, a number of a version, first digits of a digest"),
    },
    answer: z.strictObject({ hits: z.array(hitSchema).readonly() }),
  },
  async ({ console, query, signal }) => {
    const text = query.q.trim();
    const wanted = text.toLowerCase();
    const hits: z.infer<typeof hitSchema>[] = [];
    if (/^[0-9a-f]{64}$/.test(wanted))
      hits.push({ kind: "image", dataset: null, number: null, sha256: wanted, text: wanted });
    for (const dataset of await publishedDatasets(console.store)) {
      const manifest = await readableNewest(console.store, dataset);
      if (manifest === null) continue;
      if (/^[0-9a-f]{6,63}$/.test(wanted)) {
        for (const sha256 of await digestsOf(console.store, manifest, wanted, signal)) {
          hits.push({ kind: "image", dataset, number: null, sha256, text: sha256 });
        }
      }
      for (const { class: number, label } of manifest.classes) {
        if (hits.length >= MOST_HITS) break;
        if (wanted === `#${number}` || label.toLowerCase().includes(wanted)) {
          hits.push({ kind: "class", dataset, number, sha256: null, text: label });
        }
      }
      if (/^\d{1,9}$/.test(wanted) && Number(wanted) >= 1 && Number(wanted) <= manifest.number) {
        hits.push({ kind: "version", dataset, number: Number(wanted), sha256: null, text: `${dataset}/${wanted}` });
      }
    }
    return { hits: hits.slice(0, MOST_HITS) };
  },
);

type Store = Parameters<typeof readManifest>[0];
type Newest = Awaited<ReturnType<typeof readManifest>>;

async function readableNewest(store: Store, dataset: string): Promise<Newest | null> {
  try {
    return await readManifest(store, dataset, "latest");
  } catch (error) {
    if (isSluiceError(error, "E_VERSION_MISSING") || isSluiceError(error, "E_VERSION_CORRUPT")) return null;
    throw error;
  }
}

/** An image of a version by its first digits; none where several begin so, or none does. */
async function digestsOf(
  store: Store,
  manifest: Newest,
  start: string,
  signal: AbortSignal,
): Promise<readonly string[]> {
  try {
    return await digestsFrom(store, manifest, [start], signal);
  } catch (error) {
    if (isSluiceError(error, "E_USAGE")) return [];
    throw error;
  }
}
