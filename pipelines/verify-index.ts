import { DigestSet } from "../operators/pure/digest-set.js";
import { VersionIdHash, type Manifest } from "../schemas/manifest.js";
import type { Findings } from "./findings.js";
import type { IndexColumns } from "./index-reader.js";

const DIGEST = /^[0-9a-f]{64}$/;

/** Checks a version's index against its manifest, row group by row group, in order. */
export class IndexAudit {
  readonly #manifest: Manifest;
  readonly #findings: Findings;
  readonly #hash: VersionIdHash;
  readonly #images = new DigestSet();
  /** Rows seen of each class, and their first and last keys */
  readonly #counts: number[];
  readonly #best: (number | null)[];
  readonly #worst: (number | null)[];
  #class = 0;
  #key = Number.POSITIVE_INFINITY;
  #sha256 = "";
  #rows = 0;
  #absent = 0;

  constructor(manifest: Manifest, findings: Findings) {
    this.#manifest = manifest;
    this.#findings = findings;
    this.#hash = new VersionIdHash({ ...manifest, teacher: manifest.teacher.digest });
    this.#counts = new Array<number>(manifest.teacher.labels.length).fill(0);
    this.#best = new Array<number | null>(manifest.teacher.labels.length).fill(null);
    this.#worst = [...this.#best];
  }

  get rows(): number {
    return this.#rows;
  }

  /** `where` names the file that the rows come from. */
  add(columns: IndexColumns, where: string): void {
    const { labels } = this.#manifest.teacher;
    const { floor } = this.#manifest.select;
    const floorKey = floor > 0 ? Math.log(floor) : Number.NEGATIVE_INFINITY;
    for (let row = 0; row < columns.count; row++) {
      const classIndex = columns.class[row]!;
      const sha256 = columns.sha256[row]!;
      const key = columns.key[row]!;
      const at = `${where}, class ${classIndex}, rank ${columns.rank[row]}`;
      this.#rows++;
      if (columns.bytes[row] === "absent") this.#absent++;
      if (!(classIndex >= this.#class && classIndex < labels.length) || !DIGEST.test(sha256)) {
        this.#findings.add(
          at,
          "classes ascending within the teacher's labels, digests of 64 hexadecimal digits",
          sha256,
        );
        continue;
      }
      if (classIndex > this.#class) this.#key = Number.POSITIVE_INFINITY;
      this.#class = classIndex;
      const rank = (this.#counts[classIndex] = this.#counts[classIndex]! + 1);
      this.#findings.compare(`${at}: rank`, rank, columns.rank[row]);
      if (!(key < this.#key || (key === this.#key && sha256 > this.#sha256))) {
        this.#findings.add(
          `${at}: key`,
          `below ${this.#key}, or equal with a digest above ${this.#sha256}`,
          `${key}, ${sha256}`,
        );
      }
      if (key < floorKey) this.#findings.add(`${at}: key`, `at least ${floorKey}, for the floor ${floor}`, key);
      this.#key = key;
      this.#sha256 = sha256;
      this.#findings.compare(`${at}: probability`, Math.exp(key), columns.probability[row]);
      this.#findings.compare(`${at}: label`, labels[classIndex], columns.label[row]);
      const digest = Buffer.from(sha256, "hex");
      this.#hash.row(classIndex, columns.rank[row]!, digest, key);
      this.#images.add(digest, 0);
      if (rank === 1) this.#best[classIndex] = Math.exp(key);
      this.#worst[classIndex] = Math.exp(key);
    }
  }

  /** After the last row: what only the whole index tells. */
  finish(): void {
    const { id, classes, totals, select, teacher } = this.#manifest;
    const findings = this.#findings;
    findings.compare("manifest: id", this.#hash.digest(), id);
    findings.compare("manifest: totals.rows", this.#rows, totals.rows);
    findings.compare("manifest: totals.images", this.#images.size, totals.images);
    findings.compare("manifest: totals.bytesAbsent", this.#absent, totals.bytesAbsent);
    findings.compare("manifest: number of classes", teacher.labels.length, classes.length);
    for (const [index, entry] of classes.entries()) {
      const where = `manifest: class ${index}`;
      const count = this.#counts[index] ?? 0;
      findings.compare(`${where}: class`, index, entry.class);
      findings.compare(`${where}: label`, teacher.labels[index], entry.label);
      findings.compare(`${where}: count`, count, entry.count);
      findings.compare(`${where}: best`, this.#best[index] ?? null, entry.best);
      findings.compare(`${where}: worst`, this.#worst[index] ?? null, entry.worst);
      findings.compare(`${where}: starving`, count < select.k, entry.starving);
      if (count > select.k) findings.add(`${where}: count`, `at most K = ${select.k}`, count);
    }
  }
}
