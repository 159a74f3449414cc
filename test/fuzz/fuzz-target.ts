/** What a target is given for one try. */
export interface Prepared {
  /** The next input, drawn with `next` */
  readonly make: (next: () => number) => Promise<Uint8Array> | Uint8Array;
  /**
   * Gives the input to the code that reads it, and returns where that was right. A refusal is a SluiceError of any code but E_INTERNAL;
   * whatever else is thrown is a finding.
   */
  readonly run: (input: Uint8Array) => Promise<void>;
  /** Ends what `prepare` has started. */
  readonly close?: () => Promise<void>;
}

/** One kind of input that comes from outside. */
export interface FuzzTarget {
  readonly name: string;
  readonly what: string;
  /** Names of the files of findings end with it. */
  readonly extension: string;
  /** `folder` is empty and this target's own. Nothing that it does may change anything beside `folder`. */
  readonly prepare: (folder: string) => Promise<Prepared>;
}
