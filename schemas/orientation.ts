/** How a picture lies in its file: whether columns become rows, and from which end each stored axis is then read. */
export interface Turn {
  readonly turned: boolean;
  readonly fromRight: boolean;
  readonly fromBottom: boolean;
}

/** By EXIF orientation, 1 to 8. Source: EXIF 2.32, 4.6.4. */
const TURNS: readonly Turn[] = [
  { turned: false, fromRight: false, fromBottom: false },
  { turned: false, fromRight: true, fromBottom: false },
  { turned: false, fromRight: true, fromBottom: true },
  { turned: false, fromRight: false, fromBottom: true },
  { turned: true, fromRight: false, fromBottom: false },
  { turned: true, fromRight: false, fromBottom: true },
  { turned: true, fromRight: true, fromBottom: true },
  { turned: true, fromRight: true, fromBottom: false },
];

/** Where EXIF orientation puts the pixels of an upright picture in the stored one. */
export function turnOf(orientation: number): Turn {
  return TURNS[orientation - 1] ?? TURNS[0]!;
}
