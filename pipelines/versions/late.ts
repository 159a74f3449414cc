import type { Store } from "../../connectors/store/store.js";
import { ArchiveReader } from "../../operators/archive/archive-reader.js";
import { labelFrontier, labelledImages } from "../../operators/archive/image-labels.js";
import { cardNamed, readCards } from "../../operators/archive/teacher-registry.js";
import { selectedClasses } from "../../operators/select/class-map.js";
import { ranking } from "../../operators/select/ranking.js";
import { identityOf } from "../../operators/select/retractions.js";
import { isIn } from "../../operators/select/windows.js";
import { SluiceError } from "../../schemas/errors.js";
import { endIn, type Frontier } from "../../schemas/frontier.js";
import type { Manifest } from "../../schemas/manifest.js";
import { DIGEST_BYTES } from "../../schemas/scored-batch.js";
import { readIndex } from "./index-reader.js";

/** An image whose event time lies in a version's span, and which was archived after the version was cut. */
export interface LateRecord {
  readonly partition: number;
  readonly offset: number;
  readonly sha256: string;
  readonly uri: string;
  readonly eventTimeMs: number;
  /** Classes whose rows it would change if the version were cut again now; empty: none */
  readonly changes: readonly string[];
}

/**
 * The late records of a version, in the order of (partition, offset): what has been archived beyond its frontier with
 * an event time in its span. A version is never changed; a corrected one is a new version. Of a version that chooses
 * across classes (unbalanced, or one class an image), a change of any class is said of all that the image stands for.
 * Throws E_TEACHER_CARD, E_CHAIN_GAP.
 */
export async function* lateRecords(store: Store, manifest: Manifest): AsyncGenerator<LateRecord, void, undefined> {
  const { stream, frontier } = manifest.provenance;
  const current = (await readCards(store)).get(manifest.teacher.digest);
  if (current === undefined) {
    throw new SluiceError(
      "E_TEACHER_CARD",
      `Expected the card of teacher ${manifest.teacher.name} (${manifest.teacher.digest.slice(0, 12)}) in ${store.place}, found none. Restore it.`,
    );
  }
  const card = cardNamed(current, manifest.teacher.labels);
  const ranked = ranking(manifest.select, card);
  const images = await labelledImages(store, stream, await labelFrontier(store, stream));
  const retractions = images.retractions(selectedClasses(manifest.select, card), card);
  const last = await lastRows(store, manifest);
  const archive = new ArchiveReader(store, { teacher: manifest.teacher.digest, stream });
  for (const { partition, end, ...place } of frontier) {
    const reader = archive.chain({ partition, ...place });
    for await (const { batch } of reader.segments(end, await reader.end(end))) {
      const { keys, classes, topM } = ranked.rank(batch);
      for (let row = 0; row < batch.count; row++) {
        const eventTimeMs = Number(batch.eventTimeMs[row]!);
        if (!isIn(manifest.span, eventTimeMs)) continue;
        const digest = batch.digest.subarray(row * DIGEST_BYTES, (row + 1) * DIGEST_BYTES);
        const sha256 = Buffer.from(digest).toString("hex");
        const changes: string[] = [];
        for (let place = 0; place < Math.min(topM, manifest.select.p); place++) {
          const bar = last[classes[row * topM + place]!];
          if (bar?.comesBefore(keys[row * topM + place]!, sha256) !== true) continue;
          if (!retractions.has(classes[row * topM + place]!, identityOf(sha256), 0)) changes.push(bar.label);
        }
        yield {
          partition,
          offset: Number(batch.offset[row]!),
          sha256,
          uri: batch.uri.get(row) ?? "",
          eventTimeMs,
          changes,
        };
      }
    }
  }
}

/**
 * How many records `lateRecords` gives up to the frontier `now`, what is missing in the archive left out. Reads what was archived beyond
 * the version's frontier, and ranks nothing.
 */
export async function countLate(store: Store, { span, teacher, provenance }: Manifest, now: Frontier): Promise<number> {
  const { stream, frontier } = provenance;
  let late = 0;
  const archive = new ArchiveReader(store, { teacher: teacher.digest, stream });
  for (const { partition, end, ...place } of frontier) {
    const reader = archive.chain({ partition, ...place });
    const until = endIn(now, { partition, ...place });
    for await (const { batch } of reader.segments(end, until, () => undefined))
      for (const timeMs of batch.eventTimeMs) if (isIn(span, Number(timeMs))) late++;
  }
  return late;
}

/** What an image must pass to enter a class of the version. */
interface Bar {
  readonly label: string;
  /** Whether a row would change the class: not in it yet, and before its last row, or it has room */
  comesBefore(key: number, sha256: string): boolean;
}

async function lastRows(store: Store, manifest: Manifest): Promise<Bar[]> {
  const known = manifest.classes.map(() => new Set<string>());
  const worst = manifest.classes.map(() => ({ key: Number.POSITIVE_INFINITY, sha256: "" }));
  for await (const { class: index, sha256, key, by } of readIndex(store, manifest)) {
    known[index]!.add(sha256);
    // What people placed stays before all that comes.
    if (by === "teacher") worst[index] = { key: key!, sha256 };
  }
  return manifest.classes.map(({ label, starving }, index) => ({
    label,
    comesBefore: (key, sha256) => {
      if (known[index]!.has(sha256) || !Number.isFinite(key)) return false;
      const bar = worst[index]!;
      return starving || key > bar.key || (key === bar.key && sha256 < bar.sha256);
    },
  }));
}
