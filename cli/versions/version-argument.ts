/** How commands that take a version say so. */
export const VERSION = "latest, a number, a tag, or dataset/number";
