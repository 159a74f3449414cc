/** What the benchmark's rows are of, apart from what makes them: the process that only waits loads nothing else. */
export const CLASSES = 1000;
/** Classes an image: a row is an (image, class, score) */
export const TOP_M = 10;
