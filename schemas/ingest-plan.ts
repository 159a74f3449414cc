/** What taking in a source would take, by scoring a sample of it. */
export interface IngestPlan {
  /** Images that the source gives, those that were taken before among them */
  readonly images: number;
  /** Of those drawn: scored, with copies, and refused */
  readonly sample: { readonly scored: number; readonly quarantined: number; readonly tookS: number };
  /** Images a second, as scoring goes once it has begun */
  readonly imagesPerS: number;
  /** s: until scoring begins, scoring, making the versions, and all of it */
  readonly time: {
    readonly beginS: number;
    /** What a run takes beside all that, however many images there are: until batches fill and code is compiled, and at its end */
    readonly aroundS: number;
    readonly scoreS: number;
    readonly publishS: number;
    readonly totalS: number;
  };
  /** Hours in which the teacher is at work */
  readonly engineHours: number;
  readonly bytes: {
    /** Archived scores */
    readonly scores: number;
    /** Images down to rank K + R that the store keeps, once `sluice gc` has run; 0 where they stay where they are */
    readonly kept: number;
    /** Files of one version of each dataset */
    readonly versions: number;
  };
  readonly datasets: readonly PlannedDataset[];
}

export interface PlannedDataset {
  readonly dataset: string;
  readonly rows: number;
  /** Classes that are expected to have K */
  readonly full: number;
  /** Conditions that the plan leaves out: they take images away of which it does not know */
  readonly notForeseen: readonly string[];
  readonly classes: readonly PlannedClass[];
}

export interface PlannedClass {
  readonly class: number;
  readonly label: string;
  readonly k: number;
  /** Rows expected, at most K; with Wilson's 95 % interval */
  readonly rows: number;
  readonly least: number;
  readonly most: number;
}
