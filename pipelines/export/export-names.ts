/** Characters of a label that a folder's name keeps: with its number in front, it stays far below the 255 of file systems. */
const KEPT = 60;

/**
 * A folder's name for each class: its number, and what of its label every file system and object store takes, `0003-golden_retriever`. Two
 * labels never meet, and none is `..`, reserved on Windows or different in case alone: the number comes first. Sorted, they are in the classes' order.
 */
export function classFolders(labels: readonly string[]): string[] {
  const digits = Math.max(4, String(labels.length - 1).length);
  return labels.map((label, index) => {
    const plain = label
      .normalize("NFKD")
      .replaceAll(/\p{M}/gu, "")
      .replaceAll(/[^A-Za-z0-9]+/g, "_")
      .slice(0, KEPT)
      .replaceAll(/^_+|_+$/g, "");
    const number = String(index).padStart(digits, "0");
    return plain === "" ? number : `${number}-${plain}`;
  });
}

/** An image's file in its class's folder: names sort by rank. */
export function imageFile(rank: number, sha256: string, format: string): string {
  return `${String(rank).padStart(8, "0")}-${sha256.slice(0, 12)}.${format}`;
}
