import type { Log } from "../../connectors/log/log.js";
import type { Store } from "../../connectors/store/store.js";
import { readableManifest, versionNumbers } from "../../operators/version/manifests.js";
import type { Dataset } from "../../schemas/dataset.js";
import { keys } from "../../schemas/keys.js";
import { isSluiceError } from "../../schemas/errors.js";
import type { Manifest } from "../../schemas/manifest.js";
import { writeDelta, type WrittenDelta } from "../versions/version-delta.js";
import { decodePublished, encodePublished, type Published } from "../../schemas/wire/published.js";

export interface VersionNoticesOptions {
  readonly log: Log;
  /** The versions topic, of one partition */
  readonly topic: string;
  readonly store: Store;
  /** Of the versions: other streams may tell the same topic of theirs, by the same names */
  readonly stream: string;
  readonly datasets: readonly Dataset[];
  readonly onWarning?: ((message: string, code?: string) => void) | undefined;
}

/**
 * Tells the versions topic of every version, also of those whose publisher died before it could. One that two publishers
 * tell of is there twice: dataset and number say that it is the same.
 */
export class VersionNotices {
  readonly #options: VersionNoticesOptions;
  /** `dataset/number` */
  readonly #told: Set<string>;
  /** The same with stream and id, of other streams' */
  readonly #others: ReadonlySet<string>;

  private constructor(options: VersionNoticesOptions, told: Set<string>, others: ReadonlySet<string>) {
    this.#options = options;
    this.#told = told;
    this.#others = others;
  }

  /** Reads what the topic has been told. Throws E_RECORD_SCHEMA. */
  static async open(options: VersionNoticesOptions): Promise<VersionNotices> {
    const { log, topic, stream } = options;
    const { start, end } = (await log.ends(topic))[0] ?? { start: 0, end: 0 };
    const offsets = Array.from({ length: end - start }, (_, at) => start + at);
    const records = await log.fetch(topic, 0, offsets);
    const told = records.map((record) => decodePublished(record, { topic, partition: 0 }));
    const own = told.filter((one) => one.stream === stream);
    const others = told.filter((one) => one.stream !== stream);
    return new VersionNotices(options, new Set(own.map(nameOf)), new Set(others.map(fullNameOf)));
  }

  /** Tells of what has not been told yet; returns how many. */
  async send(): Promise<number> {
    const { log, topic, store, datasets } = this.#options;
    let sent = 0;
    for (const { name, deltas } of datasets) {
      for (const number of await versionNumbers(store, name)) {
        if (this.#told.has(`${name}/${number}`)) continue;
        // One that cannot be read is told of when it has been restored.
        const manifest = await readableManifest(store, name, number, () => undefined);
        if (manifest === null) continue;
        const notice = noticeOf(manifest);
        if (this.#others.has(fullNameOf(notice))) {
          this.#told.add(`${name}/${number}`);
          continue;
        }
        const delta = deltas === true ? await this.#deltaOf(manifest) : null;
        await log.append(topic, 0, [encodePublished({ ...notice, ...(delta === null ? {} : { delta }) })]);
        this.#told.add(`${name}/${number}`);
        sent++;
      }
    }
    return sent;
  }

  /** null where there is none, or a file that it is made of cannot be read: a version is told of all the same. */
  async #deltaOf(manifest: Manifest): Promise<WrittenDelta | null> {
    const { store, onWarning } = this.#options;
    try {
      return await writeDelta(store, manifest);
    } catch (error) {
      if (!isSluiceError(error, "E_VERSION_CORRUPT") && !isSluiceError(error, "E_STORE_MISSING")) throw error;
      const version = `${manifest.dataset}/${manifest.number}`;
      onWarning?.(`Version ${version} is told of without its delta: ${error.message}`, error.code);
      return null;
    }
  }
}

function nameOf({ dataset, number }: Pick<Published, "dataset" | "number">): string {
  return `${dataset}/${number}`;
}

function fullNameOf({ dataset, number, stream, id }: Published): string {
  return `${dataset}/${number} ${stream} ${id}`;
}

function noticeOf({ dataset, number, id, teacher, provenance, totals }: Manifest): Published {
  return {
    dataset,
    number,
    id,
    parent: provenance.parent?.id ?? null,
    teacher: teacher.digest,
    stream: provenance.stream,
    manifest: keys.manifest(dataset, number),
    rows: totals.rows,
    images: totals.images,
    createdAtMs: Date.parse(provenance.createdAt),
  };
}
