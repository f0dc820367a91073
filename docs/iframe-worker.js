// A page that was opened from a folder may not start a worker: there, what the search runs in is a hidden frame.
if (location.protocol === "file:")
  window.Worker = class extends EventTarget {
    constructor(url) {
      super();
      const frame = document.createElement("iframe");
      frame.hidden = true;
      document.documentElement.append(frame);
      this.ready = new Promise((done) => {
        const script = frame.contentDocument.createElement("script");
        frame.contentWindow.importScripts = (...urls) =>
          Promise.all(urls.map((u) => new Promise((loaded) => {
            const more = frame.contentDocument.createElement("script");
            more.onload = loaded;
            more.src = u;
            frame.contentDocument.body.append(more);
          })));
        frame.contentWindow.postMessage = (data) => this.dispatchEvent(new MessageEvent("message", { data }));
        script.onload = () => done(frame.contentWindow);
        script.src = url;
        frame.contentDocument.body.append(script);
      });
    }
    postMessage(data) {
      this.ready.then((inside) => inside.dispatchEvent(new inside.MessageEvent("message", { data })));
    }
    terminate() {}
  };
