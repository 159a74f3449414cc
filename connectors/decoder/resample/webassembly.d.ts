/** What is used of WebAssembly here; Node's types leave it to the browser's. */
declare namespace WebAssembly {
  interface Module {
    readonly __compiled: unique symbol;
  }
  const Module: new (bytes: Uint8Array) => Module;
  class Instance {
    constructor(module: Module);
    readonly exports: Readonly<Record<string, unknown>>;
  }
  interface Memory {
    readonly buffer: ArrayBuffer;
    /** By pages of 64 KiB. The buffers of before are detached. */
    grow(pages: number): number;
  }
}
