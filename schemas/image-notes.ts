/** What may be done to an image so that the teacher can see it. A row lists the codes, in this order, joined by commas. */
export const IMAGE_NOTES = {
  "wrong-extension": "the file name says another format than the bytes",
  "first-frame": "of several frames or pages, the first was scored",
  cmyk: "printing colours were converted to RGB",
  depth: "more than 8 bits a channel were reduced to 8",
} as const;
export type ImageNote = keyof typeof IMAGE_NOTES;
