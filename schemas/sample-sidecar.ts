/**
 * What the `.json` of a shard's sample says, and the type that loaders are told. Every sample has every field, each always
 * of one type: loaders infer types from the first samples, and fail on a later one that differs.
 */
export const SIDECAR_FIELDS = [
  { name: "class", type: "int32" },
  { name: "label", type: "string" },
  { name: "rank", type: "int32" },
  /** null alone of a row by a label that the teacher did not archive in the class */
  { name: "key", type: "float64" },
  { name: "probability", type: "float64" },
  { name: "sha256", type: "string" },
  { name: "format", type: "string" },
  { name: "width", type: "int32" },
  { name: "height", type: "int32" },
  { name: "uri", type: "string" },
  { name: "event_time_ms", type: "int64" },
  /** Empty where the source says none: a null among the first samples would be taken for the type */
  { name: "licence", type: "string" },
  { name: "origin", type: "string" },
  { name: "dataset", type: "string" },
  /** K of the class, and P */
  { name: "k", type: "int32" },
  { name: "p", type: "int32" },
  { name: "teacher", type: "string" },
  { name: "teacher_digest", type: "string" },
  /** teacher, or label: somebody said that it is of the class */
  { name: "by", type: "string" },
] as const;

type Field = (typeof SIDECAR_FIELDS)[number];
export type Sidecar = {
  readonly [Name in Field["name"]]: Extract<Field, { name: Name }>["type"] extends "string"
    ? string
    : Name extends "key" | "probability"
      ? number | null
      : number;
};

/** The sidecar as JSON. A float that is whole is written as `1.0`: Python reads `1` as an integer. */
export function sidecarText(sidecar: Sidecar): string {
  const members = SIDECAR_FIELDS.map(({ name, type }) => {
    const value = sidecar[name];
    const text = type === "float64" && typeof value === "number" ? floatText(value) : JSON.stringify(value);
    return `${JSON.stringify(name)}:${text}`;
  });
  return `{${members.join(",")}}`;
}

function floatText(value: number): string {
  const text = Object.is(value, -0) ? "-0" : String(value);
  return /^-?\d+$/.test(text) ? `${text}.0` : text;
}
