import { join } from "node:path";
import type { ImageOpener, Source, SourceItem } from "../../connectors/source/source.js";
import type { SourceAccount } from "../../schemas/source-account.js";
import { sha256 } from "../../schemas/canonical.js";
import { isSluiceError, SluiceError } from "../../schemas/errors.js";
import { createHash } from "node:crypto";
import { isBadImage } from "../../operators/image/fetch.js";
import type { LabelledSet } from "../training/labelled-set.js";

/** Unlabelled images as one thing: how many, and the digest of their digests in order. */
export interface UnlabelledSet {
  readonly count: number;
  readonly digest: string;
}

/** The images of a study under one seed. */
export interface StudyImages {
  readonly labelled: LabelledSet;
  /** Never trained on */
  readonly test: LabelledSet;
  readonly unlabelled: UnlabelledSet;
  readonly openUnlabelled: () => Promise<Source>;
}

/** Reads all of a source once, to say what it is. Throws E_SOURCE_…, E_CANCELLED. */
export async function describeUnlabelled(
  source: Source,
  opener: ImageOpener,
  { maxBytes, signal, onImage }: { maxBytes: number; signal: AbortSignal; onImage: (count: number) => void },
): Promise<UnlabelledSet> {
  const all = createHash("sha256");
  let count = 0;
  for await (const { record } of source.items(null)) {
    if (signal.aborted) throw new SluiceError("E_CANCELLED", "Stopped on request while reading the unlabelled images.");
    all.update(await contentDigest(record.uri, record.bytes, opener, maxBytes));
    onImage(++count);
  }
  return { count, digest: all.digest("hex") };
}

/** Of an image that cannot be read, its place: it is the same set as long as it stays so. */
async function contentDigest(
  uri: string,
  bytes: Uint8Array | null,
  opener: ImageOpener,
  maxBytes: number,
): Promise<Uint8Array> {
  try {
    return sha256(bytes ?? (await opener.open(uri, maxBytes)));
  } catch (error) {
    if (!isSluiceError(error) || !isBadImage(error.code)) throw error;
    return sha256(Buffer.from(`${error.code} ${uri.slice(uri.lastIndexOf("/") + 1)}`));
  }
}

/** Every so many of a source's images, spread evenly over all: `share` of them, (0, 1]. */
export function shareOf(source: Source, share: number): Source {
  if (share === 1) return source;
  return {
    name: join(source.name, `share-${share}`),
    estimate: async () => {
      const { items } = await source.estimate();
      return { items: items === null ? null : Math.floor(items * share) };
    },
    account: (): SourceAccount => source.account(),
    async *items(cursor): AsyncGenerator<SourceItem> {
      let at = 0;
      let isBehind = cursor === null;
      for await (const item of source.items(null)) {
        const isTaken = Math.floor((at + 1) * share) > Math.floor(at * share);
        at++;
        if (isTaken && isBehind) yield item;
        if (item.cursor === cursor) isBehind = true;
      }
    },
  };
}
