import { DigestSet } from "../../operators/topk/digest-set.js";
import { classMap } from "../../operators/select/class-map.js";
import { numberedSelection } from "../../operators/select/numbered-selection.js";
import { quota } from "../../operators/select/quota.js";
import type { Json } from "../../schemas/canonical.js";
import { canonicalSelection, type Selection } from "../../schemas/dataset.js";
import { isSluiceError } from "../../schemas/errors.js";
import { versionLabels, VersionIdHash, type Manifest } from "../../schemas/manifest.js";
import type { Findings } from "./findings.js";
import type { IndexColumns } from "./index-reader.js";
import { RowCheck } from "./verify-row.js";

const DIGEST = /^[0-9a-f]{64}$/;

/** Checks a version's index against its manifest, row group by row group, in order. */
export class IndexAudit {
  readonly #manifest: Manifest;
  readonly #findings: Findings;
  readonly #hash: VersionIdHash;
  readonly #labels: readonly string[];
  readonly #quota: readonly number[];
  readonly #check: RowCheck;
  readonly #images = new DigestSet();
  /** Rows seen of each class, and their first and last keys */
  readonly #counts: number[];
  readonly #best: (number | null)[];
  readonly #worst: (number | null)[];
  /** Rows by a label of each class, repeats left aside */
  readonly #labelled: number[];
  /** Rows seen of each class that repeat earlier ones, and the first rows of each, which repeats must be again */
  readonly #repeated: number[];
  #first: string[] = [];
  #repeat = 0;
  #class = 0;
  #key = Number.POSITIVE_INFINITY;
  #sha256 = "";
  #rows = 0;
  #absent = 0;

  constructor(manifest: Manifest, findings: Findings) {
    this.#manifest = manifest;
    this.#findings = findings;
    this.#hash = new VersionIdHash({
      numbered: expectedParameters(manifest),
      span: manifest.span,
      teacher: manifest.teacher.digest,
      guard: manifest.guard?.digest,
      labels: manifest.labels,
    });
    this.#labels = versionLabels(manifest);
    this.#quota = manifest.classes.map(({ k }) => k);
    this.#check = new RowCheck(manifest.select, findings);
    this.#counts = new Array<number>(this.#labels.length).fill(0);
    this.#repeated = [...this.#counts];
    this.#labelled = [...this.#counts];
    this.#best = new Array<number | null>(this.#labels.length).fill(null);
    this.#worst = [...this.#best];
  }

  get rows(): number {
    return this.#rows;
  }

  /** `where` names the file that the rows come from. */
  add(columns: IndexColumns, where: string): void {
    const labels = this.#labels;
    for (let row = 0; row < columns.count; row++) {
      const classIndex = columns.class[row]!;
      const sha256 = columns.sha256[row]!;
      const key = columns.key[row] ?? null;
      const by = columns.by[row]!;
      const at = `${where}, class ${classIndex}, rank ${columns.rank[row]}`;
      this.#rows++;
      if (columns.bytes[row] === "absent") this.#absent++;
      if (!(classIndex >= this.#class && classIndex < labels.length) || !DIGEST.test(sha256)) {
        this.#findings.add(at, "classes ascending within the version's, digests of 64 hexadecimal digits", sha256);
        continue;
      }
      if (classIndex > this.#class) {
        this.#key = Number.POSITIVE_INFINITY;
        this.#sha256 = "";
        this.#repeat = 0;
        this.#first = [];
      }
      this.#class = classIndex;
      const rank = (this.#counts[classIndex] = this.#counts[classIndex]! + 1);
      this.#findings.compare(`${at}: rank`, rank, columns.rank[row]);
      const repeat = columns.repeat[row]!;
      if (repeat > 0) this.#addRepeat(at, rank, repeat, sha256);
      else if (this.#manifest.select.repeat) this.#first.push(sha256);
      if (repeat === this.#repeat + 1) {
        this.#key = Number.POSITIVE_INFINITY;
        this.#sha256 = "";
      }
      this.#repeat = repeat;
      // What people placed stands before all others, by digest.
      const order = by === "label" ? Number.POSITIVE_INFINITY : (key ?? Number.NaN);
      if (!(order < this.#key || (order === this.#key && sha256 > this.#sha256))) {
        this.#findings.add(
          `${at}: key`,
          `below ${this.#key}, or equal with a digest above ${this.#sha256}`,
          `${key}, ${sha256}`,
        );
      }
      this.#check.conditions(at, columns, row);
      if (by === "teacher")
        this.#check.row(at, key!, columns.probability[row]!, sha256, columns.event_time[row]!.getTime());
      else if (repeat === 0) this.#labelled[classIndex] = this.#labelled[classIndex]! + 1;
      this.#key = order;
      this.#sha256 = sha256;
      this.#findings.compare(`${at}: label`, labels[classIndex], columns.label[row]);
      const digest = Buffer.from(sha256, "hex");
      this.#hash.row(classIndex, columns.rank[row]!, digest, key, by);
      this.#images.add(digest, 0);
      if (by === "label") continue;
      this.#best[classIndex] ??= columns.probability[row]!;
      if (repeat === 0) this.#worst[classIndex] = columns.probability[row]!;
    }
  }

  /** A repeated row is the class's next one from the first on. */
  #addRepeat(at: string, rank: number, repeat: number, sha256: string): void {
    this.#repeated[this.#class] = this.#repeated[this.#class]! + 1;
    const { length } = this.#first;
    this.#findings.compare(`${at}: repeat`, length === 0 ? 0 : Math.floor((rank - 1) / length), repeat);
    this.#findings.compare(`${at}: repeated image`, length === 0 ? null : this.#first[(rank - 1) % length], sha256);
  }

  /** After the last row: what only the whole index tells. */
  finish(): void {
    const { id, classes, totals, select, teacher } = this.#manifest;
    const labels = expectedLabels(select, teacher);
    const findings = this.#findings;
    findings.compare("manifest: id", this.#hash.digest(), id);
    findings.compare("manifest: totals.rows", this.#rows, totals.rows);
    findings.compare("manifest: totals.images", this.#images.size, totals.images);
    findings.compare("manifest: totals.bytesAbsent", this.#absent, totals.bytesAbsent);
    findings.compare("manifest: number of classes", labels?.length ?? classes.length, classes.length);
    for (const [index, entry] of classes.entries()) {
      const where = `manifest: class ${index}`;
      const count = this.#counts[index] ?? 0;
      findings.compare(`${where}: class`, index, entry.class);
      if (labels !== null) findings.compare(`${where}: label`, labels[index], entry.label);
      findings.compare(`${where}: k`, this.#quota[index], expectedQuota(this.#manifest, labels, index));
      findings.compare(`${where}: count`, count, entry.count);
      findings.compare(`${where}: labelled`, this.#labelled[index] ?? 0, entry.labelled ?? 0);
      findings.compare(`${where}: repeated`, this.#repeated[index] ?? 0, entry.repeated);
      findings.compare(`${where}: best`, this.#best[index] ?? null, entry.best);
      findings.compare(`${where}: worst`, this.#worst[index] ?? null, entry.worst);
      findings.compare(`${where}: starving`, count - entry.repeated < entry.k, entry.starving);
      if (count > entry.k && select.balanced) findings.add(`${where}: count`, `at most K = ${entry.k}`, count);
    }
  }
}

/** What the id is made of; names as they stand, which give no id of a version, where they do not fit the teacher's labels. */
function expectedParameters({ select, teacher }: Manifest): Json {
  try {
    return numberedSelection(select, teacher);
  } catch (error) {
    if (isSluiceError(error, "E_SELECTION")) return canonicalSelection(select);
    throw error;
  }
}

/** The classes that selection and teacher give; null where the label map does not fit the teacher's labels. */
function expectedLabels({ labels }: Selection, teacher: Manifest["teacher"]): readonly string[] | null {
  try {
    return labels === undefined ? teacher.labels : classMap(labels, teacher).labels;
  } catch (error) {
    if (isSluiceError(error, "E_SELECTION")) return null;
    throw error;
  }
}

function expectedQuota(manifest: Manifest, labels: readonly string[] | null, index: number): number | undefined {
  const { select, totals } = manifest;
  try {
    return quota(select.k, { labels: labels ?? versionLabels(manifest) }, totals.records)[index];
  } catch (error) {
    if (isSluiceError(error, "E_SELECTION")) return undefined;
    throw error;
  }
}
