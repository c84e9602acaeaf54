// Streams, events, and the capture of streams into graphs.
//
// A captured operation depends on what its stream did last and on the events that the stream has
// waited for. A graph is replayed in an order that obeys these dependencies and nothing else: that of
// capture, the latest possible first, or a random one, as the calling thread's schedule says. So an
// executor that forgets a dependency, or lets two branches share memory, gets other results in some.
#include <algorithm>
#include <chrono>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "driver.hpp"

using namespace driver;

namespace {

struct Node {
    std::function<Result()> work;   // or
    std::shared_ptr<Launch> launch; // a kernel
    std::set<size_t> dependencies;
};

struct Graph {
    std::vector<Node> nodes; // in the order of capture, so each after what it depends on
};

struct Capture {
    Graph graph;
    void* origin;         // the stream that began it
    std::set<void*> members; // the streams that are part of it
    std::set<void*> open;    // those of them that have work which nobody has joined
    Result problem = CUDA_SUCCESS;
};

struct Stream {
    std::shared_ptr<Capture> capture;
    std::set<size_t> last; // what its next operation depends on
};

struct Event {
    std::chrono::steady_clock::time_point time;
    std::shared_ptr<Capture> capture;
    std::set<size_t> nodes;
};

thread_local Stream null_stream; // nobody captures it
thread_local int captures;       // that are under way

Stream& stream_of(void* handle) { return handle ? *static_cast<Stream*>(handle) : null_stream; }

Result invalidate(Stream& stream, Result problem) {
    stream.capture->problem = CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
    return problem;
}

} // namespace

bool driver::is_capturing() { return captures > 0; }

// Notes work in the graph that the stream is being captured into.
static void note(Stream& stream, Node node) {
    std::vector<Node>& nodes = stream.capture->graph.nodes;
    node.dependencies = stream.last;
    nodes.push_back(std::move(node));
    stream.last = {nodes.size() - 1};
    stream.capture->open.insert(&stream);
}

Result driver::enqueue(void* handle, std::function<Result()> work) {
    Stream& stream = stream_of(handle);
    if (!stream.capture) {
        if (Result fault = fault_so_far()) return fault;
        return work();
    }
    note(stream, {std::move(work), nullptr, {}});
    return CUDA_SUCCESS;
}

// Launches on one stream, of which each but the first may overlap the one before it, that wait for another such.
namespace {
struct Held {
    void* stream;
    std::vector<std::unique_ptr<Launch>> launches;
};
thread_local Held held;
} // namespace

void driver::settle() {
    if (held.launches.empty()) return;
    const auto launches = std::exchange(held.launches, {});
    std::vector<Launch*> all;
    for (const auto& launch : launches) all.push_back(launch.get());
    run(all); // a fault is recorded
}

Result driver::enqueue(void* handle, Launch launch) {
    Stream& stream = stream_of(handle);
    if (!stream.capture) {
        const bool joins = launch.overlaps && held.stream == handle;
        if (!joins) settle();
        if (Result fault = fault_so_far()) return fault;
        held.stream = handle;
        const bool waits = launch.is_waiting;
        held.launches.push_back(std::make_unique<Launch>(std::move(launch)));
        if (!waits) settle();
        return CUDA_SUCCESS;
    }
    note(stream, {nullptr, std::make_shared<Launch>(std::move(launch)), {}});
    return CUDA_SUCCESS;
}

DRIVER_API Result cuStreamCreate(void** handle, unsigned) {
    COUNT_CALL;
    *handle = new Stream;
    return CUDA_SUCCESS;
}
DRIVER_API Result cuStreamCreateWithPriority(void** handle, unsigned, int) { COUNT_CALL; return cuStreamCreate(handle, 0); }
DRIVER_API Result cuStreamDestroy_v2(void* handle) {
    COUNT_CALL;
    delete static_cast<Stream*>(handle);
    return CUDA_SUCCESS;
}
DRIVER_API Result cuCtxGetStreamPriorityRange(int* least, int* greatest) {
    COUNT_CALL;
    *least = *greatest = 0;
    return CUDA_SUCCESS;
}

static Result finished(void* handle) {
    Stream& stream = stream_of(handle);
    if (stream.capture) return invalidate(stream, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
    return fault_so_far();
}
DRIVER_API Result cuStreamSynchronize(void* handle) {
    COUNT_CALL;
    return finished(handle);
}
DRIVER_API Result cuStreamQuery(void* handle) {
    COUNT_CALL;
    return finished(handle);
}

// ---- Events

DRIVER_API Result cuEventCreate(void** handle, unsigned) {
    COUNT_CALL;
    *handle = new Event;
    return CUDA_SUCCESS;
}
DRIVER_API Result cuEventDestroy_v2(void* handle) {
    COUNT_CALL;
    delete static_cast<Event*>(handle);
    return CUDA_SUCCESS;
}

DRIVER_API Result cuEventRecord(void* handle, void* stream_handle) {
    COUNT_CALL;
    Stream& stream = stream_of(stream_handle);
    Event& event = *static_cast<Event*>(handle);
    event = {std::chrono::steady_clock::now(), stream.capture, stream.last};
    return stream.capture ? CUDA_SUCCESS : fault_so_far();
}

DRIVER_API Result cuStreamWaitEvent(void* handle, void* event_handle, unsigned) {
    COUNT_CALL;
    Stream& stream = stream_of(handle);
    const Event& event = *static_cast<Event*>(event_handle);
    if (event.capture && !handle) return CUDA_ERROR_STREAM_CAPTURE_ISOLATION;
    if (!event.capture) return stream.capture ? invalidate(stream, CUDA_ERROR_STREAM_CAPTURE_ISOLATION) : fault_so_far();
    if (stream.capture && stream.capture != event.capture) return invalidate(stream, CUDA_ERROR_STREAM_CAPTURE_ISOLATION);
    // Waiting for an event of a capture makes a stream part of it. Whose last work is waited for is joined.
    stream.capture = event.capture;
    stream.capture->members.insert(&stream);
    std::set<void*>& open = stream.capture->open;
    for (auto entry = open.begin(); entry != open.end();) {
        const Stream* other = static_cast<const Stream*>(*entry);
        const bool joined = other != &stream && std::includes(event.nodes.begin(), event.nodes.end(), other->last.begin(),
                                                              other->last.end());
        entry = joined ? open.erase(entry) : std::next(entry);
    }
    stream.last.insert(event.nodes.begin(), event.nodes.end());
    open.insert(&stream);
    return CUDA_SUCCESS;
}

static Result reached(void* handle) {
    return static_cast<Event*>(handle)->capture ? CUDA_ERROR_CAPTURED_EVENT : fault_so_far();
}
DRIVER_API Result cuEventSynchronize(void* handle) {
    COUNT_CALL;
    return reached(handle);
}
DRIVER_API Result cuEventQuery(void* handle) {
    COUNT_CALL;
    return reached(handle);
}
DRIVER_API Result cuEventElapsedTime_v2(float* milliseconds, void* start, void* end) {
    COUNT_CALL;
    const auto elapsed = static_cast<Event*>(end)->time - static_cast<Event*>(start)->time;
    *milliseconds = std::chrono::duration<float, std::milli>(elapsed).count();
    return fault_so_far();
}
DRIVER_API Result cuEventElapsedTime(float* milliseconds, void* start, void* end) {
    COUNT_CALL;
    return cuEventElapsedTime_v2(milliseconds, start, end);
}

// ---- Capture

DRIVER_API Result cuStreamBeginCapture_v2(void* handle, int) {
    COUNT_CALL;
    if (!handle) return CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED; // the null stream cannot be captured
    Stream& stream = stream_of(handle);
    if (stream.capture) return invalidate(stream, CUDA_ERROR_STREAM_CAPTURE_UNMATCHED);
    stream.capture = std::make_shared<Capture>();
    captures++;
    stream.capture->origin = &stream;
    stream.capture->members.insert(&stream);
    stream.last.clear();
    return CUDA_SUCCESS;
}

DRIVER_API Result cuStreamIsCapturing(void* handle, int* status) {
    COUNT_CALL;
    const Stream& stream = stream_of(handle);
    *status = !stream.capture ? 0 : stream.capture->problem ? 2 : 1; // CUstreamCaptureStatus
    return CUDA_SUCCESS;
}

DRIVER_API Result cuStreamEndCapture(void* handle, void** graph) {
    COUNT_CALL;
    Stream& stream = stream_of(handle);
    *graph = nullptr;
    const std::shared_ptr<Capture> capture = stream.capture;
    if (!capture || capture->origin != &stream) return CUDA_ERROR_STREAM_CAPTURE_UNMATCHED;
    bool unjoined = false;
    for (void* other : capture->open) unjoined |= other != &stream;
    for (void* other : capture->members) {
        Stream& member = *static_cast<Stream*>(other);
        member.capture = nullptr;
        member.last.clear();
    }
    captures--;
    if (capture->problem) return capture->problem;
    if (unjoined) return CUDA_ERROR_STREAM_CAPTURE_UNJOINED;
    *graph = new Graph(std::move(capture->graph));
    return CUDA_SUCCESS;
}

DRIVER_API Result cuGraphInstantiateWithFlags(void** executable, void* graph, unsigned long long) {
    COUNT_CALL;
    *executable = new Graph(*static_cast<Graph*>(graph));
    return CUDA_SUCCESS;
}
DRIVER_API Result cuGraphDestroy(void* graph) {
    COUNT_CALL;
    delete static_cast<Graph*>(graph);
    return CUDA_SUCCESS;
}
DRIVER_API Result cuGraphExecDestroy(void* graph) { COUNT_CALL; return cuGraphDestroy(graph); }
DRIVER_API Result cuGraphUpload(void*, void*) { COUNT_CALL; return CUDA_SUCCESS; }

static size_t choose(const std::vector<size_t>& ready) {
    switch (emulator::machine().order) {
    case emulator::Order::first_in_first_out:
        return 0;
    case emulator::Order::last_in_first_out:
        return ready.size() - 1;
    case emulator::Order::random:
        return emulator::random() % ready.size();
    }
    return 0;
}

// The node, and those after it of which each is a kernel that may overlap the one before it, and waits for it alone.
static std::vector<size_t> overlapping(const Graph& graph, size_t node) {
    std::vector<size_t> chain = {node};
    for (size_t i = node + 1; i < graph.nodes.size(); i++) {
        const Node &last = graph.nodes[chain.back()], &next = graph.nodes[i];
        const bool follows = next.dependencies == std::set<size_t>{chain.back()};
        if (follows && last.launch && next.launch && next.launch->overlaps) chain.push_back(i);
    }
    return chain;
}

static Result carry_out(const Graph& graph, const std::vector<size_t>& chain) {
    if (!graph.nodes[chain[0]].launch) return graph.nodes[chain[0]].work();
    std::vector<Launch*> launches;
    for (const size_t node : chain) launches.push_back(graph.nodes[node].launch.get());
    return run(launches);
}

static Result replay(Graph& graph) {
    std::vector<size_t> waiting_for(graph.nodes.size()), ready;
    for (size_t i = 0; i < graph.nodes.size(); i++) {
        waiting_for[i] = graph.nodes[i].dependencies.size();
        if (waiting_for[i] == 0) ready.push_back(i);
    }
    while (!ready.empty()) {
        const auto chosen = ready.begin() + choose(ready);
        const std::vector<size_t> done = overlapping(graph, *chosen);
        ready.erase(chosen);
        if (Result problem = carry_out(graph, done)) return problem;
        if (Result fault = fault_so_far()) return fault;
        for (const size_t node : done) {
            for (size_t i = node + 1; i < graph.nodes.size(); i++) {
                const bool waits = graph.nodes[i].dependencies.count(node);
                const bool is_done = std::find(done.begin(), done.end(), i) != done.end();
                if (waits && --waiting_for[i] == 0 && !is_done) ready.push_back(i);
            }
        }
    }
    return CUDA_SUCCESS;
}

DRIVER_API Result cuGraphLaunch(void* executable, void* stream) {
    COUNT_CALL;
    if (Result fault = fault_so_far()) return fault;
    return enqueue(stream, [executable] { return replay(*static_cast<Graph*>(executable)); });
}
