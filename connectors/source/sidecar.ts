import { extensionOf } from "./file-kinds.js";

/** What a sidecar says of its image. */
export interface Rights {
  readonly licence: string | null;
  readonly origin: string | null;
}

export const NO_RIGHTS: Rights = { licence: null, origin: null };

/** Whether a sidecar tells an image's rights. */
export function tellsRights(name: string): boolean {
  return extensionOf(name) === "json";
}

/** What a sidecar and its image have in common: the sidecar's path without its last extension. */
export function stemOf(name: string): string {
  const extension = extensionOf(name);
  return extension === "" ? name : name.slice(0, -extension.length - 1);
}

/**
 * The stems that an image's own sidecar may have: of `a/22.05.png` they are `a/22.05.png` (a sidecar `a/22.05.png.json`) and `a/22.05`
 * (`a/22.05.json`), never `a/22`, which is another image's.
 */
export function sidecarStems(image: string): readonly string[] {
  return [image, stemOf(image)];
}

/** `licence` or `license`, `origin` or `url` of a JSON object. What is none says nothing about rights. */
export function rightsOf(bytes: Uint8Array): Rights {
  let found: unknown;
  try {
    found = JSON.parse(
      Buffer.from(bytes)
        .toString()
        .replace(/^\uFEFF/, ""),
    );
  } catch (error) {
    if (error instanceof SyntaxError) return NO_RIGHTS;
    throw error;
  }
  const fields: Record<string, unknown> = typeof found === "object" && found !== null ? { ...found } : {};
  const text = (value: unknown): string | null => (typeof value === "string" && value !== "" ? value : null);
  return { licence: text(fields.licence) ?? text(fields.license), origin: text(fields.origin) ?? text(fields.url) };
}
