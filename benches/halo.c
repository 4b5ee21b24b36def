/* The exchange that Ringfort's is held against: persistent requests of MPI and nothing else, on the same messages, packed from and
 * unpacked to the same places in memory.
 *
 * halo EXCHANGES DEEPxWIDE... under mpirun with two ranks. A face is DEEP runs of WIDE doubles that lie a plane apart; each rank sends
 * one and receives one. Prints bytes and the median seconds of an exchange, one line per face. */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Rows of a plane: own ones and a halo of one on both sides. */
enum { OWN = 4, LINE = 16 };

static int smaller(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static double *aligned(size_t doubles) {
    double *values = NULL;
    size_t bytes = (doubles * sizeof *values + 63) / 64 * 64;
    if ((values = aligned_alloc(64, bytes)) == NULL) abort();
    memset(values, 0, bytes);
    return values;
}

static void measure(int rank, long batches, long each, size_t deep, size_t wide) {
    size_t row = (LINE + wide + 1 + LINE - 1) / LINE * LINE, plane = row * (OWN + 2), face = deep * wide;
    double *field = aligned(deep * plane + 2 * LINE), *out = aligned(face), *in = aligned(face);
    double *first = field + 2 * LINE;
    double *send = first + (rank == 0 ? OWN : 1) * row, *receive = first + (rank == 0 ? OWN + 1 : 0) * row;
    double *seconds = malloc(batches * sizeof *seconds);
    MPI_Request requests[2];
    if (seconds == NULL) abort();
    MPI_Recv_init(in, (int)face, MPI_DOUBLE, 1 - rank, rank == 0, MPI_COMM_WORLD, &requests[0]);
    MPI_Send_init(out, (int)face, MPI_DOUBLE, 1 - rank, rank == 1, MPI_COMM_WORLD, &requests[1]);
    for (long batch = -batches / 8 - 1; batch < batches; batch++) {
        double began = MPI_Wtime();
        for (long one = 0; one < each; one++) {
            MPI_Startall(1, &requests[0]);
            for (size_t z = 0; z < deep; z++) memcpy(out + z * wide, send + z * plane, wide * sizeof *out);
            MPI_Startall(1, &requests[1]);
            MPI_Waitall(2, requests, MPI_STATUSES_IGNORE);
            for (size_t z = 0; z < deep; z++) memcpy(receive + z * plane, in + z * wide, wide * sizeof *in);
        }
        if (batch >= 0) seconds[batch] = (MPI_Wtime() - began) / (double)each;
    }
    qsort(seconds, (size_t)batches, sizeof *seconds, smaller);
    if (rank == 0) printf("%zu %.4e\n", face * sizeof(double), seconds[batches / 2]);
    MPI_Request_free(&requests[0]);
    MPI_Request_free(&requests[1]);
    free(seconds), free(field), free(out), free(in);
}

int main(int argc, char **argv) {
    int rank, ranks;
    MPI_Init(&argc, &argv);
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks != 2 || argc < 3) MPI_Abort(MPI_COMM_WORLD, 2);
    long exchanges = atol(argv[1]);
    for (int at = 2; at < argc; at++) {
        char *end;
        size_t deep = strtoul(argv[at], &end, 10), wide = strtoul(end + 1, NULL, 10), bytes = deep * wide * sizeof(double);
        /* Large faces are few; small ones are timed many at a time, since a clock takes as long as they do. */
        long count = bytes < 65536 ? exchanges : exchanges * 16384 / (long)bytes + 64, each = bytes < 65536 ? 64 : 1;
        measure(rank, count / each + 1, each, deep, wide);
    }
    MPI_Finalize();
    return 0;
}
