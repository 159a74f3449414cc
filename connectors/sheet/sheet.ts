/** One image of a contact sheet, and by what it can be named. */
export interface SheetImage {
  /** Encoded; null where the bytes are absent */
  readonly bytes: Uint8Array | null;
  /** Within the class, from 1 */
  readonly rank: number;
  /** 64 hexadecimal digits, the first of which are written */
  readonly sha256: string;
}

/** One line of a contact sheet: images, left to right. */
export interface SheetLine {
  readonly name: string;
  readonly images: readonly SheetImage[];
}

/**
 * Draws a contact sheet: what a person looks at to judge a class. Below each image stand its rank and the first eight digits of
 * its SHA-256, which `sluice label` takes. Equal input gives equal bytes under one version of the implementation. An image that
 * does not decode is drawn as an absent one. Implementations: sharp.
 */
export interface SheetRenderer {
  /** Images a line */
  readonly width: number;
  /** An encoded WebP image */
  render(lines: readonly SheetLine[]): Promise<Uint8Array>;
}
