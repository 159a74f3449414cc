/** What may be done to an image so that the teacher can see it. A row lists the codes, in this order, joined by commas. */
export const IMAGE_NOTES = {
  "wrong-extension": "the file name says another format than the bytes",
  "first-frame": "of several frames or pages, the first was scored",
  cmyk: "printing colours were converted to RGB",
  depth: "more than 8 bits a channel were reduced to 8",
  "extra-channels": "channels beyond grey or RGB that hold no transparency were left out",
  alpha: "transparent pixels were put on black",
  profile: "the colours of the embedded profile were converted to sRGB",
  "profile-ignored": "the colours of an embedded profile other than sRGB were taken for sRGB, as Pillow does",
  turned: "the picture was turned as its EXIF orientation says",
  "no-end": "the file lacks its last bytes, and none of its pixels",
} as const;
export type ImageNote = keyof typeof IMAGE_NOTES;

const ORDER = Object.keys(IMAGE_NOTES);

/** As a row has them: in the order of the list, each once; null for none. */
export function joinNotes(notes: readonly ImageNote[]): string | null {
  const sorted = [...new Set(notes)].sort((a, b) => ORDER.indexOf(a) - ORDER.indexOf(b));
  return sorted.length === 0 ? null : sorted.join(",");
}
