// Search in pages opened as files. Browsers start no Worker from file:// URLs, so the search worker runs in a hidden
// frame there. Material's offline plugin would load such a shim from a server; this one comes with the site.
"use strict";
if (window.Worker && location.protocol === "file:") {
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const source = new URL(url, location.href).href;
      this.frame = document.createElement("iframe");
      this.frame.hidden = true;
      document.body.appendChild(this.frame);
      const inside = this.frame.contentWindow;
      this.ready = new Promise((resolve, reject) => {
        inside.finished = resolve;
        inside.failed = () => reject(new Error(`${source} could not be loaded`));
      });
      // What the worker sends is an event here; importScripts adds script elements, one after the other.
      inside.send = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
      inside.document.write(
        `<script>
          window.postMessage = (data) => window.send(data);
          window.importScripts = (...urls) => urls.reduce((before, url) => before.then(() => new Promise((done, no) => {
            const script = document.createElement("script");
            Object.assign(script, { src: new URL(url, "${source}").href, onload: done, onerror: no });
            document.head.appendChild(script);
          })), Promise.resolve());
        <\/script>
        <script src="${source}" onload="finished()" onerror="failed()"><\/script>`);
      inside.document.close();
    }

    postMessage(data) {
      this.ready.then(() => this.frame.contentWindow.dispatchEvent(new MessageEvent("message", { data })));
    }

    terminate() {
      this.frame.remove();
    }
  };
}
