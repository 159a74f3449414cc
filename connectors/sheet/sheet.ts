/** One line of a contact sheet: encoded images, left to right; null where the bytes are absent. */
export interface SheetLine {
  readonly name: string;
  readonly images: readonly (Uint8Array | null)[];
}

/**
 * Draws a contact sheet: what a person looks at to judge a class. Equal input gives equal bytes under one version of
 * the implementation. An image that does not decode is drawn as an absent one. Implementations: sharp.
 */
export interface SheetRenderer {
  /** Images a line */
  readonly width: number;
  /** An encoded WebP image */
  render(lines: readonly SheetLine[]): Promise<Uint8Array>;
}
