/** How full the classes of a dataset are: the answer to "when can training start?". */
export interface ClassFill {
  /** classes with at least K rows above the floor */
  readonly full: number;
  /** classes with fewer than K */
  readonly starving: number;
  /** classes in all: `full + starving` */
  readonly classes: number;
}

/** What a pipeline says about its work as it goes. Counts are of this run, and only ever grow within one phase. */
export interface ProgressEvent {
  /** What is going on, for people: "list", "append", "score", "cut", "train" … */
  readonly phase: string;
  /** Items (images, segments, steps) dealt with in this phase: scored + copied + quarantined, where those apply */
  readonly done: number;
  /** Items in all, null while nobody knows */
  readonly total: number | null;
  /** images that went through the teacher */
  readonly scored: number;
  /** images seen before, whose scores were copied */
  readonly copied: number;
  /** rows (image, class) that hold a place in a class's top K just now */
  readonly kept: number;
  readonly quarantined: number;
  /** absent before the first candidates */
  readonly fill?: ClassFill;
  /** bytes of images read a second, over the last few seconds */
  readonly bytesPerS?: number;
  /** mean loss of the last training step; only while a model trains */
  readonly loss?: number;
  /** Share of some training images that the model has right, [0, 1]; only while a model trains, once it was looked at */
  readonly accuracy?: number;
}

/** Takes progress; must neither throw nor block. */
export type OnProgress = (event: ProgressEvent) => void;
