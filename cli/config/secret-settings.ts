import type { Path } from "./settings-shape.js";

const SECRET_NAME = /password|secret|token|accesskey|^sasl$/i;
const SECRET_LINE = /^(\s*["']?\w*(?:password|secret|token|accesskey|sasl)\w*["']?\s*:)\s*\S.*$/i;
/** Settings whose whole value is a secret */
const SECRETS: ReadonlySet<unknown> = new Set(["password", "secretKey", "sessionToken"]);
/** Mappings with secrets in them: what stands in their place by a slip may be one. */
const HOLDERS = new Set(["s3", "kafka"]);

/** Whether a setting's value may be a secret, so that no message shows it. */
export function isSecret(path: Path): boolean {
  if (path.length === 1 && HOLDERS.has(String(path[0]))) return true;
  return path.some((step) => typeof step === "string" && SECRET_NAME.test(step));
}

/** Where in a setting's value a secret stands; null for nowhere. */
export function secretIn(path: Path, value: unknown): Path | null {
  if (SECRETS.has(path.at(-1))) return path;
  if (typeof value !== "object" || value === null) return null;
  for (const [name, inner] of Object.entries(value)) {
    const found = secretIn([...path, name], inner);
    if (found !== null) return found;
  }
  return null;
}

/** A line of YAML without the secret that it may give a value. */
export function withoutSecret(line: string): string {
  return line.replace(SECRET_LINE, "$1 …");
}
