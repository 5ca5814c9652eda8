/*
 * The module that holds MPI: built as simbert-mpi.so where mpicc is found, loaded by training/parallel.c.
 */
#include "training/parallel_backend.h"

#include <mpi.h>

static bool start(int *rank, int *size)
{
    return MPI_Init(NULL, NULL) == MPI_SUCCESS && MPI_Comm_rank(MPI_COMM_WORLD, rank) == MPI_SUCCESS &&
           MPI_Comm_size(MPI_COMM_WORLD, size) == MPI_SUCCESS;
}

static void stop(void)
{
    MPI_Finalize();
}

/* Summed at one process and sent back, so that everyone has the same bits. Errors end the program: MPI's default. */
static void sum(float *values, int count)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Reduce(rank == 0 ? MPI_IN_PLACE : values, values, count, MPI_FLOAT, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Bcast(values, count, MPI_FLOAT, 0, MPI_COMM_WORLD);
}

static void sum_doubles(double *values, int count)
{
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Reduce(rank == 0 ? MPI_IN_PLACE : values, values, count, MPI_DOUBLE, MPI_SUM, 0, MPI_COMM_WORLD);
    MPI_Bcast(values, count, MPI_DOUBLE, 0, MPI_COMM_WORLD);
}

static void broadcast(float *values, int count, int from)
{
    MPI_Bcast(values, count, MPI_FLOAT, from, MPI_COMM_WORLD);
}

extern const struct sb_parallel_backend sb_mpi_backend;
const struct sb_parallel_backend sb_mpi_backend = {start, stop, sum, sum_doubles, broadcast};
