import { ByteWriter, ParquetWriter, schemaFromColumnData } from "hyparquet-writer";
import type { Store } from "../../connectors/store/store.js";
import { UTC_MILLISECONDS } from "../../operators/version/index-writer.js";
import type { DiffReason } from "../../schemas/api/versions.js";
import { DELTA_COLUMNS, type DeltaChange, type DeltaColumn } from "../../schemas/delta-row.js";
import type { IndexRow } from "../../schemas/index-row.js";
import type { Manifest } from "../../schemas/manifest.js";
import { readManifest } from "../../operators/version/manifests.js";
import { orNull } from "../../schemas/errors.js";
import { keys } from "../../schemas/keys.js";
import { ChangeReasons, type Because, type ChangedImage } from "./change-reasons.js";
import { ClassReader } from "./class-reader.js";
import { comparedClass, pairedClasses } from "./diff-versions.js";
import { indexRow, readIndexColumns, rowConditions } from "./index-reader.js";

/** A row of a delta. */
export interface DeltaRow extends Because {
  readonly change: DeltaChange;
  readonly row: IndexRow;
}

/**
 * What makes the rows of one version into those of another, without their ranks: first those that leave or change are taken away, by class and
 * digest, then those that enter or have changed are put in. Class after class as the later version has them. Memory holds one class
 * of each. Throws what reading an index or the labels throws.
 */
export async function* deltaRows(store: Store, before: Manifest, after: Manifest): AsyncGenerator<DeltaRow> {
  const older = new ClassReader(readIndexColumns(store, before), indexRow);
  const newer = new ClassReader(readIndexColumns(store, after), indexRow);
  const why = await ChangeReasons.between(store, before, after);
  try {
    for (const [old, young] of pairedClasses(before, after)) {
      const [had, has] = await Promise.all([older.read(old), newer.read(young)]);
      const compared = comparedClass(before, after, { class: young, classBefore: old });
      for (const [place, now] of has.placesOf(had).entries()) {
        if (now >= 0 && old === young) continue;
        const row = had.at(place);
        if (now < 0) yield { change: "left", row, ...why.ofLeft(imageOf(row), compared) };
        else yield { change: "left", row, ...renumbered(row, has.at(now), before, after) };
      }
      for (const [place, placeBefore] of had.placesOf(has).entries()) {
        const row = has.at(place);
        const was = placeBefore < 0 ? null : had.at(placeBefore);
        if (was === null) yield { change: "entered", row, ...why.ofEntered(imageOf(row), compared) };
        else if (old !== young) yield { change: "entered", row, ...renumbered(was, row, before, after) };
        else {
          const changed = DELTA_COLUMNS.filter((column) => isOther(column, was, row)).map(({ name }) => name);
          if (changed.length > 0) yield { change: "changed", row, ...changedWhy(changed, before, after) };
        }
      }
    }
  } finally {
    await older.close();
    await newer.close();
  }
}

function imageOf(row: IndexRow): ChangedImage {
  return { ...row, facts: rowConditions(row) };
}

function renumbered(was: IndexRow, is: IndexRow, before: Manifest, after: Manifest): Because {
  const reason: DiffReason = before.teacher.digest === after.teacher.digest ? "parameters" : "teacher";
  return { reason, because: `its class is number ${is.class}, and was ${was.class}` };
}

function changedWhy(changed: readonly string[], before: Manifest, after: Manifest): Because {
  const same = before.teacher.digest === after.teacher.digest;
  const reason: DiffReason = !same ? "teacher" : changed.includes("by") ? "label" : "new";
  return { reason, because: `other values: ${changed.join(", ")}` };
}

/** Each version has shards of its own. */
function isOther({ name }: DeltaColumn, was: IndexRow, is: IndexRow): boolean {
  return name !== "shard" && !Object.is(valueOf(was, name), valueOf(is, name));
}

function valueOf(row: IndexRow, name: DeltaColumn["name"]): string | number | null {
  if (name === "event_time") return row.eventTimeMs;
  return name === "size_bytes" ? row.sizeBytes : row[name];
}

/** Where a version's delta lies, and from which version on. */
export interface WrittenDelta {
  readonly key: string;
  readonly since: number;
}

/**
 * Writes a version's delta where there is none. null: there is no version before it that can be read, or an erasure is at work. Throws what the store and reading the
 * version's index throw.
 */
export async function writeDelta(store: Store, after: Manifest): Promise<WrittenDelta | null> {
  const key = keys.delta(after.dataset, after.number);
  const { parent } = after.provenance;
  if (parent === null) return null;
  const delta = { key, since: parent.number };
  if ((await store.head(key)) !== null) return delta;
  const before = await standingVersion(store, after.dataset, parent.number);
  if (before === null) return null;
  const chunks: Uint8Array[] = [];
  for await (const chunk of deltaFile(deltaRows(store, before, after))) chunks.push(chunk);
  await store.putIfAbsent(key, Buffer.concat(chunks));
  // An erasure that began meanwhile may have deleted the deltas by now, and this one has rows that it was to take out.
  const isAsRead = async (one: Manifest): Promise<boolean> => {
    const now = await standingVersion(store, one.dataset, one.number);
    return JSON.stringify(now?.files) === JSON.stringify(one.files);
  };
  if ((await isAsRead(before)) && (await isAsRead(after))) return delta;
  await store.delete(key);
  return null;
}

async function standingVersion(store: Store, dataset: string, number: number): Promise<Manifest | null> {
  return orNull(readManifest(store, dataset, number), "E_VERSION_MISSING");
}

/** Rows of a row group */
const GROUP_ROWS = 65_536;

const TOLD = ["change", "reason", "because"] as const;

/** A delta as one Parquet file, a chunk at a time: the same rows give the same bytes. */
export async function* deltaFile(rows: AsyncIterable<DeltaRow>): AsyncGenerator<Uint8Array> {
  const bytes = new ByteWriter();
  const file = new ParquetWriter({ writer: bytes, schema: fileSchema(), codec: "SNAPPY", createdBy: "sluice" });
  const added = (): Uint8Array => {
    const made = bytes.getBytes().slice();
    bytes.index = 0;
    return made;
  };
  let group: DeltaRow[] = [];
  for await (const row of rows) {
    group.push(row);
    if (group.length < GROUP_ROWS) continue;
    void file.write({ columnData: columnData(group), rowGroupSize: group.length });
    group = [];
    yield added();
  }
  if (group.length > 0) void file.write({ columnData: columnData(group), rowGroupSize: group.length });
  void file.finish();
  yield added();
}

function fileSchema() {
  return schemaFromColumnData({
    columnData: [
      ...TOLD.map((name) => ({ name, data: [], type: "STRING" as const, nullable: false })),
      ...DELTA_COLUMNS.map((column) => ({
        name: column.name,
        data: [],
        ...(column.type === "TIMESTAMP" ? {} : { type: column.type, nullable: "nullable" in column }),
      })),
    ],
    schemaOverrides: { event_time: UTC_MILLISECONDS },
  });
}

function columnData(rows: readonly DeltaRow[]) {
  return [
    ...TOLD.map((name) => ({ name, data: rows.map((one) => one[name]) })),
    ...DELTA_COLUMNS.map(({ name, type }) => ({
      name,
      data: rows.map(({ row }) => {
        const value = valueOf(row, name);
        return type === "INT64" || type === "TIMESTAMP" ? BigInt(value as number) : value;
      }),
      // A dictionary of doubles would take -0 for 0.
      ...(type === "DOUBLE" ? { encoding: "PLAIN" as const } : {}),
    })),
  ];
}
